// Attention of few queries, straight from the codes, in integers: queries and weights are rounded to 16 bits. Memory is
// the limit: pages are read in their order in memory, all heads of a part, and each step prefetches the next.

#pragma once

#include "attention.hpp"
#include "pair_product.hpp"

namespace lilliput {

constexpr int64_t FEW_ROWS = 12;  // of a head: for more, it pays to unpack a page

// What is read next.
struct Ahead {
    const Page* page;  // null: nothing
    int64_t head;
    void prefetch(int64_t step, int64_t steps) const {
        if (page) page->prefetch(head, step, steps);
    }
};

// Rounded queries of a head: value = number * scale.
struct RoundedQueries {
    const int16_t* numbers;  // [rows, width]
    const float* scales;     // [rows]
    int64_t rows;
};

// Scores of a page's tokens, [rows, PAGE].
inline void score_codes(Page& page, int64_t head, const Heads& heads, const RoundedQueries& queries,
                        const Ahead& ahead, float* scores) {
    for (int64_t share = 0; share < heads.shares(); share++) {
        ahead.prefetch(share, 2 * heads.shares());
        const int16_t* numbers = queries.numbers + share * SHARED;
        const int8_t* keys = page.keys(head) + share * SHARED * PAGE;
        for (int64_t token = 0; token < PAGE; token += TILE_BLOCKS * LANES) {
            const uint16_t* scales = page.key_scales(head) + share * PAGE + token;
            const PairProduct<TILE_BLOCKS> product{numbers, heads.width, keys + 2 * token, 2 * PAGE, queries.rows, SHARED};
            product.compute([&](int64_t row, int64_t v, Sums sums) {
                const Floats scale = multiply(load_halves(scales + v * LANES), all_lanes(queries.scales[row]));
                float* place = scores + row * PAGE + token + v * LANES;
                const Floats before = share > 0 ? load_floats(place) : all_lanes(0);
                store_floats(place, multiply_add(to_floats(sums), scale, before));
            });
        }
    }
}

// Adds a page's values times their weights [rows, PAGE], the largest of each row in `most`, to `sums` [rows, width].
// Overwrites `numbers` [rows, PAGE].
inline void add_codes(Page& page, int64_t head, const Heads& heads, const float* weights, const float* most,
                      int64_t rows, const Ahead& ahead, int16_t* numbers, float* sums) {
    for (int64_t share = 0; share < heads.shares(); share++) {
        ahead.prefetch(heads.shares() + share, 2 * heads.shares());
        Floats scales[PAGE / LANES];
        Sums largest = no_sums();
        for (int64_t i = 0; i < PAGE / LANES; i++) {
            scales[i] = load_halves(page.value_scales(head) + share * PAGE + i * LANES);
            largest = larger(largest, magnitudes(scales[i]));
        }
        const float largest_scale = as_float(largest_lane(largest));
        float back[FEW_ROWS];
        for (int64_t row = 0; row < rows; row++) {
            const ShortScale scale(most[row] * largest_scale);
            back[row] = scale.scale;
            for (int64_t i = 0; i < PAGE / LANES; i++) {
                const int64_t place = row * PAGE + i * LANES;
                const Floats weight = multiply(load_floats(weights + place), scales[i]);
                store_shorts(numbers + place, to_sums(multiply(weight, all_lanes(scale.inverse))));
            }
        }
        const int8_t* values = page.values(head) + share * SHARED * PAGE;
        const PairProduct<SHARED / LANES> product{numbers, PAGE, values, 2 * SHARED, rows, PAGE};
        product.compute([&](int64_t row, int64_t v, Sums added) {
            float* place = sums + row * heads.width + share * SHARED + v * LANES;
            store_floats(place, multiply_add(to_floats(added), all_lanes(back[row]), load_floats(place)));
        });
    }
}

// A part with at most FEW_ROWS rows per head.
inline void gather_codes(const Attention& attention, const Part& part, Gathered& gathered) {
    const Heads& heads = attention.heads;
    const int64_t width = heads.width, rows = gathered.rows, all = (part.end_head - part.first_head) * rows;
    static thread_local std::vector<float> scratch;
    static thread_local std::vector<int16_t> shorts;
    scratch.resize(rows * std::max(width, PAGE) + all);
    shorts.resize(all * width + rows * PAGE);
    float *scales = scratch.data(), *scores = scales + all;  // also holds queries before they are rounded
    int16_t *rounded = shorts.data(), *numbers = rounded + all * width;
    for (int64_t row = 0; row < all; row++) {
        if (row % rows == 0) attention.scale_queries(part, part.first_head + row / rows, scores);
        const float* query = scores + row % rows * width;
        const ShortScale scale(largest_magnitude(query, width));
        round_shorts(query, scale.inverse, width, rounded + row * width);
        scales[row] = scale.scale;
    }
    for (int64_t index = part.first_page; index < part.end_page; index++) {
        Page& page = attention.cache.page(part.sequence, index);
        const Page* next = index + 1 < part.end_page ? &attention.cache.page(part.sequence, index + 1) : nullptr;
        for (int64_t head = part.first_head; head < part.end_head; head++) {
            const int64_t first = (head - part.first_head) * rows;
            const Ahead ahead = head + 1 < part.end_head ? Ahead{&page, head + 1} : Ahead{next, part.first_head};
            score_codes(page, head, heads, {rounded + first * width, scales + first, rows}, ahead, scores);
            attention.finish_scores(part, head, index, scores);
            float most[FEW_ROWS];
            for (int64_t row = 0; row < rows; row++) {
                most[row] = attention.weigh(scores + row * PAGE, first + row, gathered);
            }
            float* sums = gathered.values.data() + first * width;
            add_codes(page, head, heads, scores, most, rows, ahead, numbers, sums);
        }
    }
}

}  // namespace lilliput
