// Attention of new tokens to those in the cache: softmax(queries keys' * scale + bias) values, page after page, with the
// largest score and the sum of the weights carried along ("Online normalizer calculation for softmax", 2018).

#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "activations.hpp"
#include "cache.hpp"

namespace lilliput {

constexpr float MASKED = -65504.0f;  // score of what may not be seen, as graphs have it
constexpr float NOTHING = 1e-30f;    // a weight is zero below: products with it would be too small to be normal
                                     // numbers, at which Intel's processors stop for a hundred cycles

// Where the numbers of a head at a token are: heads after tokens, or tokens after heads.
struct Places {
    const float* first;
    int64_t sequence, token, head;  // strides
    const float* at(int64_t s, int64_t t, int64_t h) const { return first + s * sequence + t * token + h * head; }
};

// What is gathered at a time, by one thread: ends are those after the last one.
struct Part {
    int64_t sequence;
    int64_t first_head, end_head;    // of keys
    int64_t first_token, end_token;  // of the new ones
    int64_t first_page, end_page;
};

// What the queries of a part have gathered so far: of heads, rows, which are tokens and heads of queries that share keys.
struct Gathered {
    int64_t rows;                         // of a head
    std::vector<float> values;            // [heads, rows, width]: sums of weight * value
    std::vector<float> largest, weights;  // [heads, rows]: score, sum of weights
    Gathered(int64_t heads, int64_t rows, int64_t width)
        : rows(rows), values(heads * rows * width), largest(heads * rows, MASKED), weights(heads * rows) {}
};

// What scores gain from how far apart two tokens are ("Exploring the Limits of Transfer Learning with a Unified
// Text-to-Text Transformer", section 2.1): of each head of queries, for a key `furthest` or more tokens before, ...,
// none before, ..., `furthest` or more behind.
struct Bias {
    const float* values = nullptr;  // [heads of queries, 2 * furthest + 1]; null: they gain nothing
    int64_t furthest = 0;
};

// Attention of one call.
struct Attention {
    Heads heads;
    float scale;          // of products
    int64_t window;       // how far back a token sees; 0: to the start
    int64_t tokens, past; // new ones; those before in the cache: all of it, where it is a source's
    const Cache& cache;
    Places queries;
    const int32_t* mask;  // [sequences, cache.length]: 0 at padding; null: there is none
    Bias bias;

    int64_t first_page(int64_t token) const {
        return window == 0 ? 0 : std::max<int64_t>(0, past + token - window + 1) / PAGE;
    }
    int64_t end_place(int64_t token) const { return std::min(past + token + 1, cache.length); }  // after the last seen
    int64_t end_page(int64_t token) const { return (end_place(token) + PAGE - 1) / PAGE; }
    int64_t rows(const Part& part) const { return (part.end_token - part.first_token) * heads.sharing(); }

    // The queries that share a head's keys, [rows, width], times the scale.
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

    // The scores [rows, PAGE] that a head's queries have for a page, with their bias, and of what they may not see.
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

    // Scores of what a token may not see: later ones, those beyond the window, padding, places not yet written.
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

    // A row's scores of a page to weights, and what it gathered before to the new largest score: the page's largest
    // weight.
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
