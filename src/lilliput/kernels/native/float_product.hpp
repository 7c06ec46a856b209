// Matrix products in floating point.

#pragma once

#include <algorithm>

#include "lanes.hpp"

namespace lilliput {

constexpr int TILE_ROWS = 6;

// c [rows, columns] = a [rows, depth] b [depth, columns], plus c if `keep`.
struct FloatProduct {
    const float* a;
    int64_t a_stride;
    const float* b;
    int64_t b_stride;
    float* c;
    int64_t c_stride;
    int64_t rows, depth, columns;  // columns: a multiple of LANES
    bool keep;

    void compute() const {
        constexpr int64_t WIDE = TILE_BLOCKS * LANES;
        const int64_t tiles = (rows + TILE_ROWS - 1) / TILE_ROWS, step = (rows + tiles - 1) / tiles;
        for (int64_t column = 0; column < columns;) {
            const bool wide = columns - column >= WIDE;
            for (int64_t row = 0; row < rows; row += step) {
                const int64_t count = std::min(step, rows - row);
                with_count<TILE_ROWS>(count, [&](auto high) {
                    wide ? tile<high, TILE_BLOCKS>(row, column) : tile<high, 1>(row, column);
                });
            }
            column += wide ? WIDE : LANES;
        }
    }

private:
    template <int ROWS, int VECTORS>
    void tile(int64_t row, int64_t column) const {
        const float* factors = a + row * a_stride;
        const float* numbers = b + column;
        Floats sums[ROWS][VECTORS];
        for (int r = 0; r < ROWS; r++)
            for (int v = 0; v < VECTORS; v++) sums[r][v] = all_lanes(0);
        for (int64_t i = 0; i < depth; i++, numbers += b_stride) {
            Floats vectors[VECTORS];
            for (int v = 0; v < VECTORS; v++) vectors[v] = load_floats(numbers + v * LANES);
            for (int r = 0; r < ROWS; r++) {
                const Floats factor = all_lanes(factors[r * a_stride + i]);
                for (int v = 0; v < VECTORS; v++) sums[r][v] = multiply_add(factor, vectors[v], sums[r][v]);
            }
        }
        for (int r = 0; r < ROWS; r++) {
            for (int v = 0; v < VECTORS; v++) {
                float* place = c + (row + r) * c_stride + column + v * LANES;
                store_floats(place, keep ? add(sums[r][v], load_floats(place)) : sums[r][v]);
            }
        }
    }
};

}  // namespace lilliput
