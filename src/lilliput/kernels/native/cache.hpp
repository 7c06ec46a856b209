// Keys and values of the tokens read so far, in 8 bits.
//
// A page holds PAGE tokens of one sequence, all heads. Sequences that go on from the same one share its pages until
// they write to them, so that many samples of one prompt keep it once. Keys lie with tokens side by side, values with a
// head's width side by side: what the products with queries and with weights read in steps of a register. SHARED values
// of a head have a scale, float16: value = code * scale, symmetric.

#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "lanes.hpp"

namespace lilliput {

constexpr int64_t PAGE = 64;
constexpr int64_t SHARED = 16;

struct Heads {
    int64_t queries, keys, width;  // heads of queries; of keys and values; numbers of a head
    int64_t sharing() const { return queries / keys; }
    int64_t shares() const { return width / SHARED; }
};

class Page {
public:
    explicit Page(const Heads& heads) : heads(heads), bytes(2 * codes_of_all() + 4 * scales_of_all()) {}

    // Of a head: keys [width, PAGE], values [PAGE, width], and the scales of both, [shares, PAGE].
    int8_t* keys(int64_t head) { return codes() + head * heads.width * PAGE; }
    int8_t* values(int64_t head) { return keys(head) + codes_of_all(); }
    uint16_t* key_scales(int64_t head) { return scales() + head * heads.shares() * PAGE; }
    uint16_t* value_scales(int64_t head) { return key_scales(head) + scales_of_all(); }

    // A token's key and value of one head, `width` numbers each.
    void write(int64_t token, int64_t head, const float* key, const float* value) {
        for (int64_t share = 0; share < heads.shares(); share++) {
            int8_t codes[SHARED];
            key_scales(head)[share * PAGE + token] = round_share(key + share * SHARED, codes);
            for (int64_t i = 0; i < SHARED; i++) keys(head)[(share * SHARED + i) * PAGE + token] = codes[i];
            value_scales(head)[share * PAGE + token] =
                round_share(value + share * SHARED, values(head) + token * heads.width + share * SHARED);
        }
    }

    // Asks for what will be read of a head, so that it is there by then.
    void prefetch(int64_t head) {
        const int64_t codes = heads.width * PAGE, scales = heads.shares() * PAGE * 2;
        for (int64_t i = 0; i < codes; i += 64) __builtin_prefetch(keys(head) + i);
        for (int64_t i = 0; i < codes; i += 64) __builtin_prefetch(values(head) + i);
        for (int64_t i = 0; i < scales; i += 64) __builtin_prefetch(reinterpret_cast<uint8_t*>(key_scales(head)) + i);
        for (int64_t i = 0; i < scales; i += 64) __builtin_prefetch(reinterpret_cast<uint8_t*>(value_scales(head)) + i);
    }

private:
    int64_t codes_of_all() const { return heads.keys * heads.width * PAGE; }
    int64_t scales_of_all() const { return heads.keys * heads.shares() * PAGE; }
    int8_t* codes() { return reinterpret_cast<int8_t*>(bytes.data()); }
    uint16_t* scales() { return reinterpret_cast<uint16_t*>(bytes.data() + 2 * codes_of_all()); }

    static uint16_t round_share(const float* values, int8_t* codes) {
        Floats magnitudes = all_lanes(0);
        for (int64_t i = 0; i < SHARED; i += LANES) {
            magnitudes = larger_magnitude(magnitudes, load_floats(values + i));
        }
        const uint16_t scale = half_of(largest_lane(magnitudes) / 127.0f);
        const float stored = float_of(scale);  // codes are of the scale that is kept
        const Floats inverse = all_lanes(stored > 0 ? 1.0f / stored : 0.0f);
        for (int64_t i = 0; i < SHARED; i += LANES) {
            const Floats wanted = multiply(load_floats(values + i), inverse);
            store_inputs(codes + i, to_sums(smaller(larger(wanted, all_lanes(-127)), all_lanes(127))));
        }
        return scale;
    }

    Heads heads;
    std::vector<uint8_t> bytes;
};

// All sequences of a group, equally long.
class Cache {
public:
    int64_t length = 0;

    // Forgets all, for `count` new sequences.
    void restart(int64_t count) {
        sequences.assign(count, {});
        length = 0;
    }

    int64_t count() const { return sequences.size(); }

    // Sequence i goes on from what was sequence parents[i].
    void reorder(const int32_t* parents, int64_t count) {
        std::vector<Sequence> ordered;
        for (int64_t i = 0; i < count; i++) ordered.push_back(sequences[parents[i]]);
        sequences = std::move(ordered);
    }

    // Room for `tokens` more of each sequence, in pages that no other sequence has.
    void extend(int64_t tokens, const Heads& heads) {
        for (auto& pages : sequences) {
            for (int64_t i = length / PAGE; i * PAGE < length + tokens; i++) {
                if (i == static_cast<int64_t>(pages.size())) {
                    pages.push_back(std::make_shared<Page>(heads));
                } else if (pages[i].use_count() > 1) {
                    pages[i] = std::make_shared<Page>(*pages[i]);
                }
            }
        }
        length += tokens;
    }

    Page& page(int64_t sequence, int64_t index) const { return *sequences[sequence][index]; }

private:
    using Sequence = std::vector<std::shared_ptr<Page>>;
    std::vector<Sequence> sequences;
};

// Caches by number: the graphs that share one name it.
class Caches {
public:
    int64_t next() { return ++last; }

    // That of `number`, which lives as long as any operation has it.
    std::shared_ptr<Cache> at(int64_t number) {
        const std::lock_guard<std::mutex> lock(mutex);
        auto cache = caches[number].lock();
        if (!cache) caches[number] = cache = std::make_shared<Cache>();
        return cache;
    }

private:
    std::mutex mutex;
    std::map<int64_t, std::weak_ptr<Cache>> caches;
    std::atomic<int64_t> last{0};
};

inline Caches caches;

}  // namespace lilliput
