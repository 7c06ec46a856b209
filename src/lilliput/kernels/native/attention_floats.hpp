// Attention of many queries: a page's codes are converted to floating point once, for all of them.

#pragma once

#include "attention.hpp"
#include "float_product.hpp"

namespace lilliput {

// A page's codes of one head in floating point: keys [width, PAGE], values [PAGE, width].
inline void unpack(Page& page, int64_t head, int64_t width, float* keys, float* values) {
    const int8_t *key_codes = page.keys(head), *value_codes = page.values(head);
    for (int64_t i = 0; i < width; i += 2) {
        const uint16_t* scales = page.key_scales(head) + i / SHARED * PAGE;
        for (int64_t token = 0; token < PAGE; token += LANES) {
            const Pairs codes = load_pairs(key_codes + i * PAGE + token * 2);
            const Floats scale = load_halves(scales + token);
            store_floats(keys + i * PAGE + token, multiply(firsts(codes), scale));
            store_floats(keys + (i + 1) * PAGE + token, multiply(seconds(codes), scale));
        }
    }
    for (int64_t i = 0; i < width; i += LANES) {
        const uint16_t* scales = page.value_scales(head) + i / SHARED * PAGE;
        const int8_t* codes = value_codes + i / SHARED * SHARED * PAGE + i % SHARED * 2;
        for (int64_t token = 0; token < PAGE; token += 2, codes += 2 * SHARED) {
            const Pairs two = load_pairs(codes);
            float* to = values + token * width + i;
            store_floats(to, multiply(firsts(two), all_lanes(float_of(scales[token]))));
            store_floats(to + width, multiply(seconds(two), all_lanes(float_of(scales[token + 1]))));
        }
    }
}

// A part of one head.
inline void gather_floats(const Attention& attention, const Part& part, Gathered& gathered) {
    const int64_t width = attention.heads.width, rows = gathered.rows, head = part.first_head;
    static thread_local std::vector<float> scratch;
    scratch.resize(rows * (width + PAGE) + 2 * width * PAGE);
    float *scaled = scratch.data(), *scores = scaled + rows * width;
    float *keys = scores + rows * PAGE, *values = keys + width * PAGE;
    attention.scale_queries(part, head, scaled);
    for (int64_t index = part.first_page; index < part.end_page; index++) {
        if (index + 1 < part.end_page) attention.cache.page(part.sequence, index + 1).prefetch(head, 0, 1);
        unpack(attention.cache.page(part.sequence, index), head, width, keys, values);
        FloatProduct{scaled, width, keys, PAGE, scores, PAGE, rows, width, PAGE, false}.compute();
        attention.finish_scores(part, head, index, scores);
        for (int64_t row = 0; row < rows; row++) attention.weigh(scores + row * PAGE, row, gathered);
        FloatProduct{scores, PAGE, values, width, gathered.values.data(), width, rows, PAGE, width, true}.compute();
    }
}

}  // namespace lilliput
