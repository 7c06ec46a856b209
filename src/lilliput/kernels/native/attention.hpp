// Attention of new tokens to those in the cache: softmax(queries keys' / sqrt(width)) values, page after page, with the
// largest score and the sum of the weights carried along ("Online normalizer calculation for softmax", 2018).

#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "cache.hpp"
#include "activations.hpp"

namespace lilliput {

constexpr float MASKED = -65504.0f;  // score of what may not be seen, as graphs have it
constexpr float NOTHING = 1e-30f;     // a weight is zero below: products with it would be too small to be normal numbers,
                                      // at which Intel's processors stop for a hundred cycles
constexpr int64_t ROWS_A_TASK = 96;  // queries of all heads that share keys: sixteen tiles
constexpr int TILE_ROWS = 6;
constexpr int64_t FEW_ROWS = 12;  // no more are worth unpacking a page for

// Where the numbers of a head at a token are: heads after tokens, or tokens after heads.
struct Places {
    const float* first;
    int64_t sequence, token, head;  // strides
    const float* at(int64_t s, int64_t t, int64_t h) const { return first + s * sequence + t * token + h * head; }
};

inline Floats load_numbers(const float* from) { return load_floats(from); }
inline Floats load_numbers(const int8_t* from) { return load_signed(from); }

// A product of matrices: c [rows, columns] = a [rows, depth] b [depth, columns], plus c if it is kept.
template <typename Number>
struct Product {
    const float* a;
    int64_t a_stride;
    const Number* b;
    int64_t b_stride;
    const uint16_t* scales;  // of b's columns, float16; null: none
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
                wide ? tile_of<TILE_BLOCKS>(count, row, column) : tile_of<1>(count, row, column);
            }
            column += wide ? WIDE : LANES;
        }
    }

private:
    template <int VECTORS>
    void tile_of(int64_t count, int64_t row, int64_t column) const {
        switch (count) {
            case 1: return tile<1, VECTORS>(row, column);
            case 2: return tile<2, VECTORS>(row, column);
            case 3: return tile<3, VECTORS>(row, column);
            case 4: return tile<4, VECTORS>(row, column);
            case 5: return tile<5, VECTORS>(row, column);
            default: return tile<TILE_ROWS, VECTORS>(row, column);
        }
    }

    template <int ROWS, int VECTORS>
    void tile(int64_t row, int64_t column) const {
        const float* factors = a + row * a_stride;
        const Number* numbers = b + column;
        Floats sums[ROWS][VECTORS];
        for (int r = 0; r < ROWS; r++)
            for (int v = 0; v < VECTORS; v++) sums[r][v] = all_lanes(0);
        for (int64_t i = 0; i < depth; i++, numbers += b_stride) {
            Floats vectors[VECTORS];
            for (int v = 0; v < VECTORS; v++) vectors[v] = load_numbers(numbers + v * LANES);
            for (int r = 0; r < ROWS; r++) {
                const Floats factor = all_lanes(factors[r * a_stride + i]);
                for (int v = 0; v < VECTORS; v++) sums[r][v] = multiply_add(factor, vectors[v], sums[r][v]);
            }
        }
        for (int r = 0; r < ROWS; r++) {
            for (int v = 0; v < VECTORS; v++) {
                float* place = c + (row + r) * c_stride + column + v * LANES;
                Floats sum = sums[r][v];
                if (scales) sum = multiply(sum, load_halves(scales + column + v * LANES));
                store_floats(place, keep ? add(sum, load_floats(place)) : sum);
            }
        }
    }
};

// What some queries have gathered so far, of heads that share keys: rows are tokens, and heads of a token.
struct Gathered {
    std::vector<float> values;            // [rows, width]: sums of weight * value
    std::vector<float> largest, weights;  // [rows]: score, sum of weights
    Gathered(int64_t rows, int64_t width) : values(rows * width), largest(rows, MASKED), weights(rows) {}
};

// Attention of one call.
struct Attention {
    Heads heads;
    int64_t window;       // how far back a token sees; 0: to the start
    int64_t tokens;       // new ones, the cache's last
    const Cache& cache;
    Places queries;
    const int32_t* real;  // [sequences, cache.length]: 0 at padding; null: there is none

    int64_t past() const { return cache.length - tokens; }
    int64_t first_page(int64_t token) const {
        return window == 0 ? 0 : std::max<int64_t>(0, past() + token - window + 1) / PAGE;
    }
    int64_t end_page(int64_t token) const { return (past() + token) / PAGE + 1; }  // after the last one seen

    // Tokens `first` to `last` of a sequence, pages `from` to `to`, the queries that share the keys of `head`.
    void gather(int64_t sequence, int64_t head, int64_t first, int64_t last, int64_t from, int64_t to,
                Gathered& gathered) const {
        const int64_t sharing = heads.sharing(), width = heads.width, rows = (last - first) * sharing;
        const bool few = rows <= FEW_ROWS;
        static thread_local std::vector<float> scratch;
        scratch.resize(rows * (width + 2 * PAGE) + 2 * width * PAGE);
        float *scaled = scratch.data(), *scores = scaled + rows * width, *shares = scores + rows * PAGE;
        float *keys = shares + rows * PAGE, *values = keys + width * PAGE;
        if (from < to) cache.page(sequence, from).prefetch(head);
        scale_queries(sequence, head, first, rows, scaled);
        for (int64_t index = from; index < to; index++) {
            Page& page = cache.page(sequence, index);
            if (index + 1 < to) cache.page(sequence, index + 1).prefetch(head);
            if (few) {
                score_codes(page, head, scaled, rows, scores);
            } else {
                unpack(page, head, keys, values);
                Product<float>{scaled, width, keys, PAGE, nullptr, scores, PAGE, rows, width, PAGE, false}.compute();
            }
            hide(sequence, first, last, index, scores);
            for (int64_t row = 0; row < rows; row++) weigh(scores + row * PAGE, row, gathered);
            float* sums = gathered.values.data();
            if (few) {
                add_codes(page, head, scores, rows, shares, sums);
            } else {
                Product<float>{scores, PAGE, values, width, nullptr, sums, width, rows, PAGE, width, true}.compute();
            }
        }
    }

private:
    // The queries that share keys, divided by the root of their width.
    void scale_queries(int64_t sequence, int64_t head, int64_t first, int64_t rows, float* scaled) const {
        const int64_t sharing = heads.sharing(), width = heads.width;
        const Floats scale = all_lanes(1.0f / std::sqrt(static_cast<float>(width)));
        for (int64_t row = 0; row < rows; row++) {
            const float* query = queries.at(sequence, first + row / sharing, head * sharing + row % sharing);
            for (int64_t i = 0; i < width; i += LANES) {
                store_floats(scaled + row * width + i, multiply(load_floats(query + i), scale));
            }
        }
    }

    // Scores of a page's tokens, straight from the codes.
    void score_codes(Page& page, int64_t head, const float* scaled, int64_t rows, float* scores) const {
        const int64_t width = heads.width;
        for (int64_t share = 0; share < heads.shares(); share++) {
            Product<int8_t>{scaled + share * SHARED, width, page.keys(head) + share * SHARED * PAGE, PAGE,
                            page.key_scales(head) + share * PAGE, scores, PAGE, rows, SHARED, PAGE, share > 0}
                .compute();
        }
    }

    // Adds a page's values times their weights, straight from the codes; `shares` [rows, PAGE] is overwritten.
    void add_codes(Page& page, int64_t head, const float* weights, int64_t rows, float* shares, float* sums) const {
        const int64_t width = heads.width;
        for (int64_t share = 0; share < heads.shares(); share++) {
            const uint16_t* scales = page.value_scales(head) + share * PAGE;
            for (int64_t token = 0; token < PAGE; token += LANES) {
                const Floats scale = load_halves(scales + token);
                for (int64_t row = 0; row < rows; row++) {
                    const int64_t place = row * PAGE + token;
                    store_floats(shares + place, multiply(load_floats(weights + place), scale));
                }
            }
            Product<int8_t>{shares, PAGE, page.values(head) + share * SHARED, width, nullptr, sums + share * SHARED,
                            width, rows, PAGE, SHARED, true}.compute();
        }
    }

    // A page's codes of one head as numbers.
    void unpack(Page& page, int64_t head, float* keys, float* values) const {
        const int64_t width = heads.width;
        const int8_t *key_codes = page.keys(head), *value_codes = page.values(head);
        for (int64_t i = 0; i < width; i++) {
            const uint16_t* scales = page.key_scales(head) + i / SHARED * PAGE;
            for (int64_t token = 0; token < PAGE; token += LANES) {
                const Floats codes = load_signed(key_codes + i * PAGE + token);
                store_floats(keys + i * PAGE + token, multiply(codes, load_halves(scales + token)));
            }
        }
        for (int64_t token = 0; token < PAGE; token++) {
            for (int64_t i = 0; i < width; i += LANES) {
                const Floats codes = load_signed(value_codes + token * width + i);
                const Floats scale = all_lanes(float_of(page.value_scales(head)[i / SHARED * PAGE + token]));
                store_floats(values + token * width + i, multiply(codes, scale));
            }
        }
    }

    // Scores of what a token may not see: later ones, those beyond the window, padding, places not yet written.
    void hide(int64_t sequence, int64_t first, int64_t last, int64_t index, float* scores) const {
        const int64_t begin = index * PAGE, end = begin + PAGE, sharing = heads.sharing();
        const int32_t* kept = real ? real + sequence * cache.length : nullptr;
        const int64_t written = std::min(end, cache.length);
        const bool padded = real && std::find(kept + begin, kept + written, 0) != kept + written;
        for (int64_t token = first; token < last; token++) {
            const int64_t place = past() + token;
            const int64_t low = window == 0 ? 0 : place - window + 1;
            for (int64_t row = (token - first) * sharing; row < (token - first + 1) * sharing; row++) {
                for (int64_t key = begin; key < std::min(low, end); key++) scores[row * PAGE + key - begin] = MASKED;
                for (int64_t key = std::max(begin, place + 1); key < end; key++) {
                    scores[row * PAGE + key - begin] = MASKED;
                }
                for (int64_t key = begin; padded && key < written; key++) {
                    if (!kept[key]) scores[row * PAGE + key - begin] = MASKED;
                }
            }
        }
    }

    // Scores of a page to weights, and what was gathered before to the new largest score.
    void weigh(float* scores, int64_t row, Gathered& gathered) const {
        Floats most = all_lanes(gathered.largest[row]);
        for (int64_t i = 0; i < PAGE; i += LANES) most = larger(most, load_floats(scores + i));
        const float largest = largest_lane(most);
        const Floats top = all_lanes(largest);
        Floats sum = all_lanes(0);
        for (int64_t i = 0; i < PAGE; i += LANES) {
            const Floats power = exponential_of_minus(subtract(top, load_floats(scores + i)));
            const Floats weight = larger(subtract(power, all_lanes(NOTHING)), all_lanes(0));
            store_floats(scores + i, weight);
            sum = add(sum, weight);
        }
        const float shrunk = std::exp(gathered.largest[row] - largest);
        gathered.weights[row] = gathered.weights[row] * shrunk + total_values(sum);
        if (shrunk != 1) {
            float* values = gathered.values.data() + row * heads.width;
            for (int64_t i = 0; i < heads.width; i += LANES) {
                store_floats(values + i, multiply(load_floats(values + i), all_lanes(shrunk)));
            }
        }
        gathered.largest[row] = largest;
    }
};

}  // namespace lilliput
