// Attention of new tokens to those in the cache: softmax(queries keys' * scale + bias) values, page by page, with a
// running maximum of the scores and sum of the weights ("Online normalizer calculation for softmax", 2018).

#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "activations.hpp"
#include "cache.hpp"

namespace lilliput {

constexpr float MASKED = -65504.0f;  // score of masked keys, as in the graphs
constexpr float NOTHING = 1e-30f;    // weights below this are set to zero: products with them would be denormals, which
                                     // stall Intel's processors for a hundred cycles

// Where a head's numbers for a token are, whichever of heads and tokens is the outer dimension.
struct Places {
    const float* first;
    int64_t sequence, token, head;  // strides
    const float* at(int64_t s, int64_t t, int64_t h) const { return first + s * sequence + t * token + h * head; }
};

// What one thread gathers at a time; ends are exclusive.
struct Part {
    int64_t sequence;
    int64_t first_head, end_head;    // heads of keys
    int64_t first_token, end_token;  // new tokens
    int64_t first_page, end_page;
};

// What the queries of a part have gathered so far. A head's rows are tokens and the query heads that share its keys.
struct Gathered {
    int64_t rows;                         // per head
    std::vector<float> values;            // [heads, rows, width]: sums of weight * value
    std::vector<float> largest, weights;  // [heads, rows]: largest score; sum of weights
    Gathered(int64_t heads, int64_t rows, int64_t width)
        : rows(rows), values(heads * rows * width), largest(heads * rows, MASKED), weights(heads * rows) {}
};

// Relative position bias of the scores ("Exploring the Limits of Transfer Learning with a Unified Text-to-Text
// Transformer", section 2.1): for each query head, for a key `furthest` or more tokens before the query, ..., at the
// query, ..., `furthest` or more after it.
struct Bias {
    const float* values = nullptr;  // [heads of queries, 2 * furthest + 1]; null: no bias
    int64_t furthest = 0;
};

// Attention of one call.
struct Attention {
    Heads heads;
    float scale;          // multiplies the products of queries and keys
    int64_t window;       // how far back a token sees; 0: to the start
    int64_t tokens, past; // new tokens; earlier ones in the cache: all of a source
    const Cache& cache;
    Places queries;
    const int32_t* mask;  // [sequences, cache.length]: 0 at padding; null: no padding
    Bias bias;

    int64_t first_page(int64_t token) const {
        return window == 0 ? 0 : std::max<int64_t>(0, past + token - window + 1) / PAGE;
    }
    int64_t end_place(int64_t token) const { return std::min(past + token + 1, cache.length); }  // exclusive
    int64_t end_page(int64_t token) const { return (end_place(token) + PAGE - 1) / PAGE; }
    int64_t rows(const Part& part) const { return (part.end_token - part.first_token) * heads.sharing(); }

    // The queries that share a head's keys, [rows, width], multiplied by the scale.
    void scale_queries(const Part& part, int64_t head, float* scaled) const {
        const int64_t sharing = heads.sharing(), width = heads.width;
        const Floats share = all_lanes(scale);
        for (int64_t row = 0; row < rows(part); row++) {
            const int64_t token = part.first_token + row / sharing;
            const float* query = queries.at(part.sequence, token, head * sharing + row % sharing);
            for (int64_t i = 0; i < width; i += LANES) {
                store_floats(scaled + row * width + i, multiply(load_floats(query + i), share));
            }
        }
    }

    // Adds the bias to a head's scores for a page, [rows, PAGE], and masks them.
    void finish_scores(const Part& part, int64_t head, int64_t index, float* scores) const {
        if (bias.values) add_bias(part, head, index, scores);
        hide(part, index, scores);
    }

    void add_bias(const Part& part, int64_t head, int64_t index, float* scores) const {
        const int64_t sharing = heads.sharing(), begin = index * PAGE, furthest = bias.furthest;
        for (int64_t row = 0; row < rows(part); row++, scores += PAGE) {
            const float* own = bias.values + (head * sharing + row % sharing) * (2 * furthest + 1) + furthest;
            const int64_t place = past + part.first_token + row / sharing;
            for (int64_t i = 0; i < PAGE; i++) scores[i] += own[std::clamp(begin + i - place, -furthest, furthest)];
        }
    }

    // Masks the scores of what a token may not see: later tokens, those before its window, padding, unwritten places.
    void hide(const Part& part, int64_t index, float* scores) const {
        const int64_t begin = index * PAGE, end = begin + PAGE, sharing = heads.sharing();
        const int32_t* kept = mask ? mask + part.sequence * cache.length : nullptr;
        const int64_t written = std::min(end, cache.length);
        const bool padded = mask && std::find(kept + begin, kept + written, 0) != kept + written;
        for (int64_t row = 0; row < rows(part); row++, scores += PAGE) {
            const int64_t token = part.first_token + row / sharing;
            const int64_t low = window == 0 ? 0 : past + token - window + 1;
            for (int64_t key = begin; key < std::min(low, end); key++) scores[key - begin] = MASKED;
            for (int64_t key = std::max(begin, end_place(token)); key < end; key++) scores[key - begin] = MASKED;
            for (int64_t key = begin; padded && key < written; key++) {
                if (!kept[key]) scores[key - begin] = MASKED;
            }
        }
    }

    // Turns a row's scores for a page into weights, and rescales what it gathered before to the new largest score.
    // Returns the page's largest weight.
    float weigh(float* scores, int64_t row, Gathered& gathered) const {
        Floats most = load_floats(scores);
        for (int64_t i = LANES; i < PAGE; i += LANES) most = larger(most, load_floats(scores + i));
        const float own = largest_lane(most), largest = std::max(own, gathered.largest[row]);
        const Floats top = all_lanes(largest);
        Floats sum = all_lanes(0);
        for (int64_t i = 0; i < PAGE; i += LANES) {
            const Floats power = exponential_of_minus(subtract(top, load_floats(scores + i)));
            const Floats weight = larger(all_lanes(0), subtract(power, all_lanes(NOTHING)));
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
        return std::exp(own - largest);
    }
};

}  // namespace lilliput
