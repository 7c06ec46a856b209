// Products of 16-bit numbers with 8-bit codes stored in pairs: a step adds two products to each lane, exactly, where
// floating point would have to convert the codes first, and add one.

#pragma once

#include <algorithm>

#include "float_product.hpp"

namespace lilliput {

constexpr float LARGEST_SHORT = 32767.0f;

// Rounds `count` values (a multiple of LANES) to 16 bits: value * inverse, which is at most LARGEST_SHORT.
inline void round_shorts(const float* values, float inverse, int64_t count, int16_t* to) {
    for (int64_t i = 0; i < count; i += LANES) {
        store_shorts(to + i, to_sums(multiply(load_floats(values + i), all_lanes(inverse))));
    }
}

// Factors that convert 32-bit values of at most `largest` to 16 bits and back.
struct ShortScale {
    float inverse, scale;
    explicit ShortScale(float largest)
        : inverse(largest > 0 ? LARGEST_SHORT / largest : 0.0f), scale(largest / LARGEST_SHORT) {}
};

// Numbers [rows, depth] times codes [depth / 2, columns, 2], for VECTORS vectors of columns. With 32-bit sums, the
// depth is at most 128.
template <int VECTORS>
struct PairProduct {
    const int16_t* numbers;
    int64_t stride;  // between rows
    const int8_t* codes;
    int64_t pair_stride;  // between pairs
    int64_t rows, depth;

    // Calls `take` with a row, a vector's index and its sums.
    template <typename Take>
    void compute(const Take& take) const {
        const int64_t tiles = (rows + TILE_ROWS - 1) / TILE_ROWS, step = (rows + tiles - 1) / tiles;
        for (int64_t row = 0; row < rows; row += step) {
            with_count<TILE_ROWS>(std::min(step, rows - row), [&](auto high) { tile<high>(row, take); });
        }
    }

private:
    template <int ROWS, typename Take>
    void tile(int64_t row, const Take& take) const {
        const int16_t* own = numbers + row * stride;
        const int8_t* from = codes;
        Sums sums[ROWS][VECTORS];
        for (int r = 0; r < ROWS; r++)
            for (int v = 0; v < VECTORS; v++) sums[r][v] = no_sums();
        for (int64_t i = 0; i < depth; i += 2, from += pair_stride) {
            Pairs pairs[VECTORS];
            for (int v = 0; v < VECTORS; v++) pairs[v] = load_pairs(from + v * 2 * LANES);
            for (int r = 0; r < ROWS; r++) {
                const int32_t two = two_of(own + r * stride + i);
                for (int v = 0; v < VECTORS; v++) sums[r][v] = add_pairs(sums[r][v], pairs[v], two);
            }
        }
        for (int r = 0; r < ROWS; r++)
            for (int v = 0; v < VECTORS; v++) take(row + r, v, sums[r][v]);
    }
};

}  // namespace lilliput
