// Inputs times the transpose of packed weights, with inputs rounded to 8 bits, one scale per group of a token's values.
//
// One token reads every code once, so memory is the limit: codes go from memory straight to registers. Several tokens
// use each code several times, so arithmetic is the limit: codes of a group are unpacked to the L1 cache, and the sums
// of a tile of tokens and rows stay in registers.

#pragma once

#include <vector>

#include "memory.hpp"
#include "packed.hpp"

namespace lilliput {

// Rounded inputs of `count` tokens: value = code * scale, symmetric, codes from -127 to 127.
struct Rounded {
    static constexpr int64_t AFTER = 15;  // tokens after the last one that may be read, but are ignored

    int64_t count;
    Buffer<int8_t> codes;    // [groups, count, group]: tokens of a group lie together
    Buffer<float> scales;    // [count, groups]
    Buffer<int32_t> totals;  // [count, groups]: sums of the codes
    Rounded(const Layout& layout, int64_t count)
        : count(count), codes(count * layout.columns + AFTER * layout.group), scales(count * layout.groups()),
          totals(count * layout.groups()) {}

    // A token's codes of a group; the next token's follow.
    const int8_t* at(const Layout& layout, int64_t g, int64_t token) const {
        return codes.data() + (g * count + token) * layout.group;
    }
};

inline void round_token(const Layout& layout, const float* values, Rounded& rounded, int64_t token) {
    for (int64_t g = 0; g < layout.groups(); g++, values += layout.group) {
        int8_t* codes = rounded.codes.data() + (g * rounded.count + token) * layout.group;
        const float largest = largest_magnitude(values, layout.group);
        const Floats inverse = all_lanes(largest > 0 ? 127.0f / largest : 0.0f);
        Sums totals = no_sums();
        for (int64_t i = 0; i < layout.group; i += LANES) {
            const Sums rounds = to_sums(multiply(load_floats(values + i), inverse));
            store_inputs(codes + i, rounds);
            totals = add(totals, rounds);
        }
        rounded.scales[token * layout.groups() + g] = largest / 127.0f;
        rounded.totals[token * layout.groups() + g] = total_lanes(totals);
    }
}

// A block's codes, scales and zeros, group after group, and its bias.
struct Block {
    const uint8_t* codes;
    const uint16_t* scales;
    const uint8_t* zeros;
    const float* bias;
    Block(const Layout& layout, const uint8_t* packed, int64_t block)
        : codes(packed + block * layout.block_bytes()),
          scales(reinterpret_cast<const uint16_t*>(packed + layout.scales_at()) +
                 block * layout.scale_groups() * LANES),
          zeros(packed + layout.zeros_at() + block * layout.scale_groups() * LANES),
          bias(reinterpret_cast<const float*>(packed + layout.bias_at()) + block * LANES) {}

    Floats zeros_of(const Layout& layout, int64_t g) const {
        return layout.with_zeros ? load_bytes(zeros + (layout.grouped ? g : 0) * LANES)
                                 : all_lanes(static_cast<float>(layout.middle()));
    }
    Floats scales_of(const Layout& layout, int64_t g) const {
        return load_halves(scales + (layout.grouped ? g : 0) * LANES);
    }

    // Applies to sums over all groups what these share: a row's scale, and the bias.
    Floats finished(const Layout& layout, Floats sums) const {
        if (!layout.grouped) sums = multiply(sums, scales_of(layout, 0));
        return layout.with_bias ? add(sums, load_floats(bias)) : sums;
    }
};

// Stores a block's rows in `outputs [rows]`, plus `addends [rows]` if there are any.
inline void store_rows(const Layout& layout, int64_t block, Floats values, const float* addends, float* outputs) {
    const int64_t first = block * LANES, count = std::min<int64_t>(LANES, layout.rows - first);
    if (count == LANES) {
        store_floats(outputs + first, addends ? add(values, load_floats(addends + first)) : values);
    } else {
        float lanes[LANES];
        store_floats(lanes, values);
        for (int64_t i = 0; i < count; i++) outputs[first + i] = lanes[i] + (addends ? addends[first + i] : 0);
    }
}

// Two blocks that are read side by side: memory delivers more to two streams than to one.
struct Pair {
    const Layout* layouts[2];  // may differ in zeros and bias only
    Block blocks[2];
};

constexpr int64_t PREFETCH_DISTANCE = 2048;  // bytes by which codes are prefetched ahead

// Whether to prefetch: AMD's hardware prefetchers do better alone (Zen 4: a token takes 5 % less time).
inline bool prefetches() {
    static const bool amd = [] {
        __builtin_cpu_init();
        return __builtin_cpu_is("amd") != 0;
    }();
    return !amd;
}

// Sums of one token's codes times some columns of two blocks: a multiple of 16, at most twice COLUMNS_A_PARTIAL.
template <int BITS, bool PREFETCH>
inline void add_column_sums(const uint8_t* const (&codes)[2], const int8_t* inputs, int64_t columns, Sums (&sums)[2]) {
    constexpr int64_t BYTES = 16 * LANES * BITS / 8;  // 16 columns of a block
    Partial<BITS> parts[2][2] = {};
    for (int64_t i = 0; i < columns; i += 16, inputs += 16) {
        const int64_t place = i * LANES * BITS / 8;
        for (const uint8_t* own : codes) {
            for (int64_t at = PREFETCH_DISTANCE; PREFETCH && at < PREFETCH_DISTANCE + BYTES; at += 64) {
                __builtin_prefetch(own + place + at);
            }
        }
        for (int b = 0; b < 2; b++) {
            Partial<BITS>(&part)[2] = parts[b];
            for (int64_t at = 0; at < BYTES; at += 2 * VECTOR) {  // two vectors: 16 columns of 4 bits, or 8 of 8 bits
                const Codes first = load_codes(codes[b] + place + at);
                const Codes second = load_codes(codes[b] + place + at + VECTOR);
                if constexpr (BITS == 4) {
                    part[0] = add_products<BITS>(part[0], low_codes(first), four(inputs));
                    part[1] = add_products<BITS>(part[1], high_codes(first), four(inputs + 4));
                    part[0] = add_products<BITS>(part[0], low_codes(second), four(inputs + 8));
                    part[1] = add_products<BITS>(part[1], high_codes(second), four(inputs + 12));
                } else {
                    const int8_t* own = inputs + at / VECTOR * 4;
                    part[0] = add_products<BITS>(part[0], first, four(own));
                    part[1] = add_products<BITS>(part[1], second, four(own + 4));
                }
            }
        }
    }
    for (int b = 0; b < 2; b++) sums[b] = add(sums[b], add(widened(parts[b][0]), widened(parts[b][1])));
}

// One token and a pair of blocks: `results` has one vector for each block.
template <int BITS, bool PREFETCH>
inline void token_pair(const Pair& pair, const Rounded& rounded, Floats (&results)[2]) {
    const int64_t group = pair.layouts[0]->group, groups = pair.layouts[0]->groups();
    constexpr int64_t STEP = COLUMNS_A_PARTIAL<BITS> == INT64_MAX ? INT64_MAX : 2 * COLUMNS_A_PARTIAL<BITS>;
    results[0] = results[1] = all_lanes(0);
    for (int64_t g = 0; g < groups; g++) {
        Sums sums[2] = {no_sums(), no_sums()};
        for (int64_t i = 0; i < group; i += std::min(STEP, group)) {
            const int64_t place = (g * group + i) * LANES * BITS / 8;
            const uint8_t* const codes[2] = {pair.blocks[0].codes + place, pair.blocks[1].codes + place};
            add_column_sums<BITS, PREFETCH>(codes, rounded.codes.data() + g * group + i, std::min(STEP, group - i), sums);
        }
        const Floats total = all_lanes(static_cast<float>(rounded.totals[g]));
        for (int b = 0; b < 2; b++) {
            const Layout& layout = *pair.layouts[b];
            const Block& block = pair.blocks[b];
            const Floats centred = multiply_subtract_from(block.zeros_of(layout, g), total, to_floats(sums[b]));
            Floats scale = all_lanes(rounded.scales[g]);
            if (layout.grouped) scale = multiply(scale, block.scales_of(layout, g));
            results[b] = multiply_add(centred, scale, results[b]);
        }
    }
    for (int b = 0; b < 2; b++) results[b] = pair.blocks[b].finished(*pair.layouts[b], results[b]);
}

constexpr int64_t CHUNK_TOKENS = 96;  // tokens whose sums for a tile of rows fit into the L1 cache

// `TOKENS` tokens, `BLOCKS` blocks and some columns: adds their products to `sums`.
template <int BITS, int TOKENS, int BLOCKS, typename Kind>
inline void add_columns(Kind (&sums)[TOKENS][BLOCKS], const uint8_t* codes, int64_t block_stride, const int8_t* inputs,
                        int64_t input_stride, int64_t columns) {
    for (int64_t i = 0; i < columns; i += 4) {
        Codes four_columns[BLOCKS];
        for (int b = 0; b < BLOCKS; b++) four_columns[b] = load_codes(codes + b * block_stride + i * LANES);
        for (int t = 0; t < TOKENS; t++) {
            const int32_t values = four(inputs + t * input_stride + i);
            for (int b = 0; b < BLOCKS; b++) sums[t][b] = add_products<BITS>(sums[t][b], four_columns[b], values);
        }
    }
}

// `TOKENS` tokens and `BLOCKS` blocks, one group: adds to `results`, [tokens, TILE_BLOCKS * LANES] floats.
template <int BITS, int TOKENS, int BLOCKS>
inline void tile(const uint8_t* codes, int64_t block_stride, const int8_t* inputs, int64_t input_stride,
                 int64_t group, const float* input_scales, const int32_t* totals, int64_t groups,
                 const Floats* scales, const Floats* zeros, float* results) {
    Sums sums[TOKENS][BLOCKS];
    for (int t = 0; t < TOKENS; t++)
        for (int b = 0; b < BLOCKS; b++) sums[t][b] = no_sums();
    if constexpr (COLUMNS_A_PARTIAL<BITS> == INT64_MAX) {
        add_columns<BITS>(sums, codes, block_stride, inputs, input_stride, group);
    } else {
        constexpr int64_t STEP = COLUMNS_A_PARTIAL<BITS>;
        for (int64_t i = 0; i < group; i += STEP) {
            Partial<BITS> part[TOKENS][BLOCKS] = {};
            const int64_t columns = std::min(STEP, group - i);
            add_columns<BITS>(part, codes + i * LANES, block_stride, inputs + i, input_stride, columns);
            for (int t = 0; t < TOKENS; t++)
                for (int b = 0; b < BLOCKS; b++) sums[t][b] = add(sums[t][b], widened(part[t][b]));
        }
    }
    for (int t = 0; t < TOKENS; t++) {
        const Floats total = all_lanes(static_cast<float>(totals[t * groups]));
        const Floats scale = all_lanes(input_scales[t * groups]);
        for (int b = 0; b < BLOCKS; b++) {
            float* place = results + (t * TILE_BLOCKS + b) * LANES;
            const Floats centred = multiply_subtract_from(zeros[b], total, to_floats(sums[t][b]));
            store_floats(place, multiply_add(centred, multiply(scale, scales[b]), load_floats(place)));
        }
    }
}

// Results of CHUNK_TOKENS tokens and TILE_BLOCKS blocks.
struct Results {
    alignas(64) float values[CHUNK_TOKENS * TILE_BLOCKS * LANES];
    float* at(int64_t token, int64_t block) { return values + (token * TILE_BLOCKS + block) * LANES; }
};

// Applies to sums over all groups what these share.
template <int BLOCKS>
inline void finish(const Layout& layout, const uint8_t* packed, int64_t index, int64_t tokens, Results& results) {
    for (int b = 0; b < BLOCKS; b++) {
        const Block block(layout, packed, index + b);
        for (int64_t token = 0; token < tokens; token++) {
            float* place = results.at(token, b);
            store_floats(place, block.finished(layout, load_floats(place)));
        }
    }
}

// Computes tokens `first` to `last` (at most CHUNK_TOKENS of them) and blocks `index` to `index + BLOCKS`.
template <int BITS, int BLOCKS>
inline void chunk(const Layout& layout, const uint8_t* packed, int64_t index, const Rounded& rounded, int64_t first,
                  int64_t last, Results& results) {
    std::fill_n(results.values, (last - first) * TILE_BLOCKS * LANES, 0.0f);
    std::vector<uint8_t> unpacked(BITS == 4 ? BLOCKS * layout.group * LANES : 0);
    const int64_t group_bytes = layout.group * LANES * BITS / 8;
    for (int64_t g = 0; g < layout.groups(); g++) {
        Floats scales[BLOCKS], zeros[BLOCKS];
        const uint8_t* codes = packed + index * layout.block_bytes() + g * group_bytes;
        int64_t stride = layout.block_bytes();
        for (int b = 0; b < BLOCKS; b++) {
            const Block block(layout, packed, index + b);
            scales[b] = layout.grouped ? block.scales_of(layout, g) : all_lanes(1);
            zeros[b] = block.zeros_of(layout, g);
        }
        if constexpr (BITS == 4) {
            uint8_t* to = unpacked.data();
            for (int b = 0; b < BLOCKS; b++) {
                for (int64_t at = 0; at < group_bytes; at += VECTOR, to += 2 * VECTOR) {
                    const Codes both = load_codes(codes + b * stride + at);
                    store_codes(to, low_codes(both));
                    store_codes(to + VECTOR, high_codes(both));
                }
            }
            codes = unpacked.data();
            stride = layout.group * LANES;
        }
        for (int64_t token = first; token < last; token += TILE_INPUTS<BITS>) {
            const int64_t place = token * layout.groups() + g;
            with_count<TILE_INPUTS<BITS>>(last - token, [&](auto tokens) {
                tile<BITS, tokens, BLOCKS>(codes, stride, rounded.at(layout, g, token), layout.group, layout.group,
                                           rounded.scales.data() + place, rounded.totals.data() + place,
                                           layout.groups(), scales, zeros, results.at(token - first, 0));
            });
        }
    }
    finish<BLOCKS>(layout, packed, index, last - first, results);
}

}  // namespace lilliput
