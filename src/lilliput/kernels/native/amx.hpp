// Products of many tokens by the matrix unit of Intel's processors (AMX): 16 tokens times 16 rows, 64 columns, in one
// instruction, which reads groups of four neighbouring codes of a row, as they are packed.
//
// The unit sums the products of a group. The processor scales and accumulates these sums, which takes as long, so it
// does one tile's while the unit computes the next.

#pragma once

#include "product.hpp"

#if defined(__AMX_TILE__) && defined(__AMX_INT8__) && defined(__AVX512VNNI__)
#define LILLIPUT_MATRIX_UNIT

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace lilliput {

constexpr int64_t UNIT_TOKENS = 16, UNIT_COLUMNS = 64;
constexpr int64_t FEWEST_UNIT_TOKENS = 8;  // fewer are as fast without the unit
static_assert(LANES == 16 && VECTOR == 64 && !SIGNED_BYTES);

// Whether the operating system lets this process use the unit.
inline bool has_matrix_unit() {
    constexpr long REQUEST = 0x1023, TILE_DATA = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    static const bool granted = syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
    return granted;
}

// Whether to use the unit for that many tokens. Codes minus their zeros must fit into bytes.
inline bool by_unit(const Layout& layout, int64_t tokens) {
    return tokens >= FEWEST_UNIT_TOKENS && (layout.bits == 4 || !layout.with_zeros) && has_matrix_unit();
}

// Configures the unit for a group's products and restores its configuration at the end: the engine uses it, too.
class MatrixUnit {
public:
    const int64_t group, step;  // columns of a group; columns multiplied at once

    explicit MatrixUnit(int64_t group) : group(group), step(step_of(group)) {
        asm volatile("sttilecfg %0" : "=m"(before));  // GCC 12's intrinsics do not say how much they read and write
        Configuration now;
        now.palette = 1;
        for (int tile = 0; tile < 8; tile++) {  // 0 to 3: sums; 4, 5: inputs; 6, 7: codes
            now.row_bytes[tile] = tile == 4 || tile == 5 ? static_cast<uint16_t>(step) : 64;
            now.rows[tile] = tile > 5 ? static_cast<uint8_t>(step / 4) : 16;
        }
        load(now);
    }
    ~MatrixUnit() { load(before); }
    MatrixUnit(const MatrixUnit&) = delete;
    MatrixUnit& operator=(const MatrixUnit&) = delete;

    // Sums of HIGH * 16 tokens and WIDE blocks: `sums` [tokens, WIDE * LANES]. After each step, while the unit works
    // on, calls `between` with the number of steps done.
    template <int HIGH, int WIDE, typename Between>
    void multiply(const int8_t* codes, const int8_t* inputs, int32_t* sums, const Between& between) const {
        _tile_zero(0);
        if constexpr (WIDE > 1) _tile_zero(1);
        if constexpr (HIGH > 1) _tile_zero(2);
        if constexpr (HIGH > 1 && WIDE > 1) _tile_zero(3);
        asm volatile("" ::: "memory");
        for (int64_t i = 0, steps = 1; i < group; i += step, steps++) {
            _tile_loadd(6, codes + i * LANES, VECTOR);
            _tile_loadd(4, inputs + i, group);
            _tile_dpbssd(0, 4, 6);
            if constexpr (HIGH > 1) {
                _tile_loadd(5, inputs + UNIT_TOKENS * group + i, group);
                _tile_dpbssd(2, 5, 6);
            }
            if constexpr (WIDE > 1) {
                _tile_loadd(7, codes + (group + i) * LANES, VECTOR);
                _tile_dpbssd(1, 4, 7);
            }
            if constexpr (HIGH > 1 && WIDE > 1) _tile_dpbssd(3, 5, 7);
            between(steps);
        }
        constexpr int64_t STRIDE = WIDE * LANES, BYTES = STRIDE * sizeof(int32_t);
        _tile_stored(0, sums, BYTES);
        if constexpr (WIDE > 1) _tile_stored(1, sums + LANES, BYTES);
        if constexpr (HIGH > 1) _tile_stored(2, sums + UNIT_TOKENS * STRIDE, BYTES);
        if constexpr (HIGH > 1 && WIDE > 1) _tile_stored(3, sums + UNIT_TOKENS * STRIDE + LANES, BYTES);
        asm volatile("" ::: "memory");
    }

private:
    struct alignas(64) Configuration {
        uint8_t palette = 0, start = 0, reserved[14] = {};
        uint16_t row_bytes[16] = {};
        uint8_t rows[16] = {};
    };

    static int64_t step_of(int64_t group) {
        int64_t columns = UNIT_COLUMNS;
        while (group % columns) columns -= 4;
        return columns;
    }
    static void load(const Configuration& wanted) { asm volatile("ldtilecfg %0" : : "m"(wanted)); }

    Configuration before;
};

// A group's codes of one block minus their zeros, one byte each.
template <int BITS>
inline void centre(const Layout& layout, const Block& block, int64_t g, int8_t* to) {
    Codes zeros = _mm512_set1_epi8(static_cast<char>(layout.half()));
    if (layout.with_zeros) {  // one for a lane's four columns
        const uint8_t* own = block.zeros + (layout.grouped ? g : 0) * LANES;
        const Codes lanes = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(own)));
        zeros = _mm512_mullo_epi32(lanes, _mm512_set1_epi32(0x01010101));
    }
    const int64_t bytes = layout.group * LANES * BITS / 8;
    const uint8_t* codes = block.codes + g * bytes;
    for (int64_t at = 0; at < bytes; at += VECTOR) {
        const Codes found = load_codes(codes + at);
        if constexpr (BITS == 4) {
            _mm512_store_si512(to + 2 * at, _mm512_sub_epi8(low_codes(found), zeros));
            _mm512_store_si512(to + 2 * at + VECTOR, _mm512_sub_epi8(high_codes(found), zeros));
        } else {
            _mm512_store_si512(to + at, _mm512_sub_epi8(found, zeros));
        }
    }
}

// Sums of some tokens and WIDE blocks over a group, and where to add them.
template <int WIDE>
struct UnitSums {
    const int32_t* sums;
    int64_t tokens;
    const float* input_scales;
    int64_t groups;  // stride between tokens' scales
    const Floats* scales;
    float* results;

    // Adds tokens `from` to `to`, as far as they exist.
    void add(int64_t from, int64_t to) const {
        Floats own[WIDE];  // in registers
        for (int b = 0; b < WIDE; b++) own[b] = scales[b];
        const int32_t* found = sums + from * WIDE * LANES;
        const float* input_scale = input_scales + from * groups;
        float* result = results + from * TILE_BLOCKS * LANES;
        for (int64_t t = from; t < std::min(to, tokens); t++) {
            for (int b = 0; b < WIDE; b++) {
                const Floats values = to_floats(_mm512_load_si512(found + b * LANES));
                const Floats scale = lilliput::multiply(all_lanes(*input_scale), own[b]);
                store_floats(result + b * LANES, multiply_add(values, scale, load_floats(result + b * LANES)));
            }
            found += WIDE * LANES, input_scale += groups, result += TILE_BLOCKS * LANES;
        }
    }
};

// One group of tokens `first` to `last` and BLOCKS blocks, given as centred codes: adds to `results`.
template <int BLOCKS>
inline void add_by_unit(const MatrixUnit& unit, const Layout& layout, const int8_t* codes, const Floats* scales,
                        const Rounded& rounded, int64_t g, int64_t first, int64_t last, Results& results) {
    constexpr int WIDE = BLOCKS > 1 ? 2 : 1;
    static_assert(BLOCKS % WIDE == 0);
    constexpr int64_t HIGHEST = 2 * UNIT_TOKENS;
    alignas(64) int32_t sums[2][HIGHEST * WIDE * LANES];
    UnitSums<WIDE> before{sums[1], 0, rounded.scales.data(), layout.groups(), scales, results.values};
    const int64_t share = (HIGHEST * unit.step + layout.group - 1) / layout.group;  // tokens to add in each step
    const auto add_before = [&](int64_t steps) { before.add((steps - 1) * share, steps * share); };
    int turn = 0;
    for (int64_t token = first; token < last; token += HIGHEST) {
        const int64_t tokens = std::min(last - token, HIGHEST);
        const int8_t* inputs = rounded.at(layout, g, token);
        const float* input_scales = rounded.scales.data() + token * layout.groups() + g;
        for (int64_t block = 0; block < BLOCKS; block += WIDE, turn ^= 1) {
            const int8_t* own = codes + block * layout.group * LANES;
            if (tokens > UNIT_TOKENS) {
                unit.multiply<2, WIDE>(own, inputs, sums[turn], add_before);
            } else {
                unit.multiply<1, WIDE>(own, inputs, sums[turn], add_before);
            }
            float* place = results.at(token - first, block);
            before = {sums[turn], tokens, input_scales, layout.groups(), scales + block, place};
        }
    }
    before.add(0, HIGHEST);
}

// Like `chunk`.
template <int BITS, int BLOCKS>
inline void chunk_by_unit(const Layout& layout, const uint8_t* packed, int64_t index, const Rounded& rounded,
                          int64_t first, int64_t last, Results& results) {
    std::fill_n(results.values, (last - first) * TILE_BLOCKS * LANES, 0.0f);
    const MatrixUnit unit(layout.group);
    Buffer<int8_t> codes(BLOCKS * layout.group * LANES);
    for (int64_t g = 0; g < layout.groups(); g++) {
        Floats scales[BLOCKS];
        for (int b = 0; b < BLOCKS; b++) {
            const Block block(layout, packed, index + b);
            scales[b] = layout.grouped ? block.scales_of(layout, g) : all_lanes(1);
            centre<BITS>(layout, block, g, codes.data() + b * layout.group * LANES);
        }
        add_by_unit<BLOCKS>(unit, layout, codes.data(), scales, rounded, g, first, last, results);
    }
    finish<BLOCKS>(layout, packed, index, last - first, results);
}

}  // namespace lilliput

#endif
