// Keys and values of PAGE tokens of one sequence, all heads, in 8 bits.
//
// Each head's keys and values lie together, head after head, so they are read as one stream. Keys are stored with
// tokens side by side, two numbers of each; values with SHARED numbers side by side, of two tokens each. The products
// with queries and with weights read them in this order, a register at a time. SHARED numbers of a token have one
// float16 scale: value = code * scale, symmetric.

#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "lanes.hpp"
#include "memory.hpp"

namespace lilliput {

constexpr int64_t PAGE = 64;
constexpr int64_t SHARED = 16;

struct Heads {
    int64_t queries, keys, width;  // heads of queries; heads of keys and values; numbers in a head
    int64_t sharing() const { return queries / keys; }
    int64_t shares() const { return width / SHARED; }
    int64_t part_bytes() const { return PAGE * (width + 2 * shares()); }  // one head's keys, or values, in a page
    int64_t page_bytes() const { return 2 * keys * part_bytes(); }
    bool keeps_as(const Heads& other) const { return keys == other.keys && width == other.width; }
};

class Page {
public:
    Page(const Heads& heads, const std::shared_ptr<Pool>& pool) : heads(heads), pool(pool), bytes(pool->take()) {
        std::fill_n(bytes, heads.page_bytes(), uint8_t{0});  // unwritten tokens have no weight, but are read
    }
    Page(const Page& other) : heads(other.heads), pool(other.pool), bytes(pool->take()) {
        std::copy_n(other.bytes, heads.page_bytes(), bytes);
    }
    Page& operator=(const Page&) = delete;
    ~Page() { pool->give_back(bytes); }

    // A head's keys [width / 2, PAGE, 2], values [shares, PAGE / 2, SHARED, 2], and the scales of both, [shares, PAGE].
    int8_t* keys(int64_t head) { return reinterpret_cast<int8_t*>(bytes + 2 * head * heads.part_bytes()); }
    int8_t* values(int64_t head) { return keys(head) + heads.part_bytes(); }
    uint16_t* key_scales(int64_t head) { return reinterpret_cast<uint16_t*>(keys(head) + heads.width * PAGE); }
    uint16_t* value_scales(int64_t head) { return reinterpret_cast<uint16_t*>(values(head) + heads.width * PAGE); }

    // Writes a token's key and value of one head, `width` numbers each.
    void write(int64_t token, int64_t head, const float* key, const float* value) {
        for (int64_t share = 0; share < heads.shares(); share++) {
            int8_t codes[SHARED];
            const int64_t first = share * SHARED;
            key_scales(head)[share * PAGE + token] = round_share(key + first, codes);
            int8_t* to = keys(head) + first * PAGE + token * 2;
            for (int64_t i = 0; i < SHARED; i++) to[i / 2 * 2 * PAGE + i % 2] = codes[i];
            value_scales(head)[share * PAGE + token] = round_share(value + first, codes);
            to = values(head) + first * PAGE + token / 2 * 2 * SHARED + token % 2;
            for (int64_t i = 0; i < SHARED; i++) to[i * 2] = codes[i];
        }
    }

    // Prefetches one of `steps` pieces of a head's keys and values.
    void prefetch(int64_t head, int64_t step, int64_t steps) const {
        const int64_t lines = 2 * heads.part_bytes() / 64;
        const uint8_t* first = bytes + head * lines * 64;
        for (int64_t i = lines * step / steps; i < lines * (step + 1) / steps; i++) prefetch_line(first + i * 64);
    }

private:
    static uint16_t round_share(const float* values, int8_t* codes) {
        const float largest = largest_magnitude(values, SHARED);
        uint16_t scale = half_of(largest / 127.0f);
        if (127.5f * float_of(scale) < largest) scale++;  // subnormal or zero: the largest would have no code
        const float stored = float_of(scale);  // codes use the stored scale
        const Floats inverse = all_lanes(stored > 0 ? 1.0f / stored : 0.0f);
        for (int64_t i = 0; i < SHARED; i += LANES) {
            const Floats wanted = multiply(load_floats(values + i), inverse);
            store_inputs(codes + i, to_sums(smaller(larger(wanted, all_lanes(-127)), all_lanes(127))));
        }
        return scale;
    }

    Heads heads;
    std::shared_ptr<Pool> pool;
    uint8_t* bytes;
};

}  // namespace lilliput
