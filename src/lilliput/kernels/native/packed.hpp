// Quantized weights in the order in which the products read them.
//
// A block has one row per lane; four neighbouring codes of a row lie together, row after row. With 8 bits, VECTOR bytes
// hold 4 columns of a block, signed or not as the instructions require. With 4 bits, unsigned, VECTOR bytes hold 8
// columns, the first four in the low halves, the others in the high ones. A weight is (code - zero) * scale; there is
// one scale and zero per row, or per `group` columns of a row.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "lanes.hpp"

namespace lilliput {

constexpr int64_t ALIGNED = 64;
constexpr int64_t VECTOR = LANES * 4;  // bytes of codes loaded at once

struct Layout {
    int64_t rows = 0;
    int64_t columns = 0;
    int64_t group = 0;     // columns whose inputs share a scale; divides `columns`, a multiple of 16
    int64_t bits = 0;      // 4 or 8
    int64_t grouped = 0;   // 1: one scale per group of a row; 0: one per row
    int64_t with_zeros = 0;  // 1: zeros are stored; 0: each is the middle of the codes' range
    int64_t with_bias = 0;   // 1: a bias is added to the product

    int64_t blocks() const { return (rows + LANES - 1) / LANES; }
    int64_t groups() const { return columns / group; }
    int64_t scale_groups() const { return grouped ? groups() : 1; }
    int64_t block_bytes() const { return columns * LANES * bits / 8; }
    bool is_signed() const { return bits == 8 && SIGNED_BYTES; }
    int64_t middle() const { return is_signed() ? 0 : half(); }
    int64_t half() const { return int64_t{1} << (bits - 1); }

    int64_t scales_at() const { return aligned(blocks() * block_bytes()); }
    int64_t zeros_at() const { return scales_at() + aligned(blocks() * scale_groups() * LANES * 2); }
    int64_t bias_at() const { return zeros_at() + (with_zeros ? aligned(blocks() * scale_groups() * LANES) : 0); }
    int64_t bytes() const { return bias_at() + (with_bias ? aligned(blocks() * LANES * 4) : 0); }

    static int64_t aligned(int64_t bytes) { return (bytes + ALIGNED - 1) / ALIGNED * ALIGNED; }
};

// Codes and zeros as an artifact stores them: row by row, two 4-bit codes per byte, the low one first.
struct Stored {
    const uint8_t* codes;
    const uint16_t* scales;  // [rows, columns / scale_group], float16
    const uint8_t* zeros;    // shaped like `scales`, as wide as the codes; null: none
    int64_t scale_group;     // columns that share a scale; a multiple of Layout::group, or all of a row
    const float* bias;       // [rows], added to the product; null: none
    bool is_signed;          // whether codes and zeros are in two's complement
};

inline uint8_t stored_code(const uint8_t* codes, int64_t index, int64_t bits) {
    return bits == 8 ? codes[index] : (codes[index / 2] >> (index % 2 * 4)) & 15;
}

// The low 16 bits as four bytes of 4 bits each.
inline uint32_t spread(uint32_t codes) {
    codes = ((codes & 0xFFFF) | codes << 8) & 0x00FF00FF;
    return (codes | codes << 4) & 0x0F0F0F0F;
}

// Packs a block. Rows past the last are zeros with a scale of zero.
inline void pack(const Layout& layout, const Stored& stored, int64_t block, uint8_t* packed) {
    const uint8_t flip = stored.is_signed == layout.is_signed() ? 0 : static_cast<uint8_t>(layout.half());
    uint8_t* codes = packed + block * layout.block_bytes();
    uint16_t* scales = reinterpret_cast<uint16_t*>(packed + layout.scales_at()) + block * layout.scale_groups() * LANES;
    uint8_t* zeros = packed + layout.zeros_at() + block * layout.scale_groups() * LANES;
    float* bias = reinterpret_cast<float*>(packed + layout.bias_at()) + block * LANES;
    const int64_t scales_a_row = layout.columns / stored.scale_group;
    if ((block + 1) * LANES > layout.rows) std::memset(codes, 0, layout.block_bytes());
    for (int64_t lane = 0; lane < LANES; lane++) {
        const int64_t row = block * LANES + lane;
        const bool exists = row < layout.rows;
        if (layout.with_bias) bias[lane] = exists ? stored.bias[row] : 0;
        for (int64_t g = 0; g < layout.scale_groups(); g++) {
            const int64_t from = row * scales_a_row + (layout.grouped ? g * layout.group / stored.scale_group : 0);
            scales[g * LANES + lane] = exists ? stored.scales[from] : 0;
            if (layout.with_zeros) {
                zeros[g * LANES + lane] = exists ? stored_code(stored.zeros, from, layout.bits) ^ flip : 0;
            }
        }
        if (!exists) continue;
        const uint8_t* source = stored.codes + row * layout.columns * layout.bits / 8;
        const uint32_t flips = 0x01010101u * (layout.bits == 4 ? flip * 17 : flip);
        const int64_t vectors = layout.block_bytes() / VECTOR;
        for (int64_t i = 0; i < vectors; i++) {
            uint32_t four;
            std::memcpy(&four, source + i * 4, 4);
            four ^= flips;
            if (layout.bits == 4) four = spread(four) | spread(four >> 16) << 4;
            std::memcpy(codes + i * VECTOR + lane * 4, &four, 4);
        }
    }
}

}  // namespace lilliput
