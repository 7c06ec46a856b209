// Products with packed weights by several threads.

#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <openvino/core/except.hpp>

#include "amx.hpp"
#include "memory.hpp"
#include "activations.hpp"
#include "team.hpp"

namespace lilliput {

// Packed weights, which every copy of an operation shares.
struct Packed {
    Layout layout;
    Bytes memory;
    uint8_t* bytes;
    explicit Packed(const Layout& layout)
        : layout(layout), memory(allocated(layout.bytes())), bytes(memory.get()) {}
    Packed(const Packed&) = delete;
    Packed& operator=(const Packed&) = delete;
};

using Weights = std::shared_ptr<const Packed>;

// Weights by the number that operations have in their attributes: owned until an operation takes them, known as long as
// any operation holds them.
class Registry {
public:
    int64_t add(Weights packed) {
        const std::lock_guard<std::mutex> lock(mutex);
        known[++last] = packed;
        waiting[last] = std::move(packed);
        return last;
    }
    void forget(int64_t number) {
        const std::lock_guard<std::mutex> lock(mutex);
        known.erase(number);
        waiting.erase(number);
    }
    Weights at(int64_t number) {
        const std::lock_guard<std::mutex> lock(mutex);
        const auto found = known.find(number);
        const Weights packed = found == known.end() ? nullptr : found->second.lock();
        OPENVINO_ASSERT(packed, "no weights have that number, or no more");
        waiting.erase(number);
        return packed;
    }

private:
    std::mutex mutex;
    std::map<int64_t, std::weak_ptr<const Packed>> known;
    std::map<int64_t, Weights> waiting;
    int64_t last = 0;
};

inline Registry registry;

constexpr int64_t TASK_BYTES = 1 << 16;  // bytes of codes that one thread takes at a time

// One product to be computed.
struct Work {
    const std::vector<Weights>& weights;
    bool gated;             // the first weights' product gates the second's: the only output
    int64_t tokens;
    const float* inputs;    // [tokens, columns]
    const float* addends;   // [tokens, rows], added to the first output; null: none
    float* const* outputs;  // [tokens, rows] each
    const std::vector<Beginning>* next = nullptr;  // where the next product begins; null: unknown

    size_t count() const { return gated ? 1 : weights.size(); }
    const float* addends_of(int64_t token) const {
        return addends ? addends + token * weights.front()->layout.rows : nullptr;
    }
};

// Runs one list of tasks for all outputs; `count` gives the number of tasks for an output of that layout.
template <typename Count, typename Body>
void for_all(Team& team, const Work& work, const Count& count, const Body& body) {
    std::vector<int64_t> ends;
    for (size_t i = 0; i < work.count(); i++) {
        ends.push_back((ends.empty() ? 0 : ends.back()) + count(work.weights[i]->layout));
    }
    team.run(ends.back(), [&](int64_t task) {
        const size_t which = std::upper_bound(ends.begin(), ends.end(), task) - ends.begin();
        body(which, task - (which == 0 ? 0 : ends[which - 1]));
    });
}

// How one token's product with a weight is split: a block is paired with the one half of the blocks further on, or a
// gate's block with the one it gates.
struct Cut {
    int64_t pairs, pairs_a_task;
    bool gated;
    Cut(const Layout& layout, bool gated)
        : pairs(gated ? layout.blocks() : (layout.blocks() + 1) / 2),
          pairs_a_task(std::max<int64_t>(1, TASK_BYTES / 2 / layout.block_bytes())), gated(gated) {}
    int64_t tasks() const { return (pairs + pairs_a_task - 1) / pairs_a_task; }
    int64_t far(int64_t block) const { return gated ? block : block + pairs; }
};

// Where each of a team's threads begins in one token's product.
inline std::vector<Beginning> beginnings(const std::vector<Weights>& weights, bool gated, int64_t threads) {
    std::vector<Beginning> all;  // one per task
    for (size_t which = 0; which < (gated ? 1 : weights.size()); which++) {
        const Packed &one = *weights[which], &other = gated ? *weights[1] : one;
        const Cut cut(one.layout, gated);
        for (int64_t task = 0; task < cut.tasks(); task++) {
            const int64_t block = task * cut.pairs_a_task, bytes = one.layout.block_bytes();
            all.push_back({{one.bytes + block * bytes, other.bytes + cut.far(block) * bytes}});
        }
    }
    std::vector<Beginning> found;
    for (int64_t thread = 0; thread < threads; thread++) found.push_back(all[all.size() * thread / threads]);
    return found;
}

template <int BITS, bool PREFETCH>
void one_token(Team& team, const Work& work, const Rounded& rounded) {
    const auto tasks = [&](const Layout& layout) { return Cut(layout, work.gated).tasks(); };
    for_all(team, work, tasks, [&](size_t which, int64_t task) {
        const Packed &one = *work.weights[which], &other = work.gated ? *work.weights[1] : one;
        const Layout& layout = one.layout;
        const Cut cut(layout, work.gated);
        const int64_t first = task * cut.pairs_a_task, last = std::min(cut.pairs, first + cut.pairs_a_task);
        for (int64_t block = first; block < last; block++) {
            const int64_t far = cut.far(block);
            const bool alone = far >= layout.blocks();  // the last of an odd number is paired with itself
            const Pair pair{{&layout, &other.layout},
                            {{layout, one.bytes, block}, {other.layout, other.bytes, alone ? block : far}}};
            Floats results[2];
            token_pair<BITS, PREFETCH>(pair, rounded, results);
            if (work.gated) results[0] = multiply(silu(results[0]), results[1]);
            store_rows(layout, block, results[0], work.addends_of(0), work.outputs[which]);
            if (!work.gated && !alone) store_rows(layout, far, results[1], work.addends_of(0), work.outputs[which]);
        }
    });
}

template <int BITS, int BLOCKS>
void any_chunk(const Packed& packed, int64_t index, const Rounded& rounded, int64_t first, int64_t last,
               Results& results) {
#ifdef LILLIPUT_MATRIX_UNIT
    if (by_unit(packed.layout, last - first)) {
        return chunk_by_unit<BITS, BLOCKS>(packed.layout, packed.bytes, index, rounded, first, last, results);
    }
#endif
    chunk<BITS, BLOCKS>(packed.layout, packed.bytes, index, rounded, first, last, results);
}

template <int BITS, int BLOCKS>
void store_chunk(const Work& work, size_t which, int64_t index, const Rounded& rounded, int64_t first, int64_t last) {
    const Packed& packed = *work.weights[which];
    Results results, passed;
    any_chunk<BITS, BLOCKS>(packed, index, rounded, first, last, results);
    if (work.gated) any_chunk<BITS, BLOCKS>(*work.weights[1], index, rounded, first, last, passed);
    for (int64_t token = first; token < last; token++) {
        for (int b = 0; b < BLOCKS; b++) {
            Floats values = load_floats(results.at(token - first, b));
            if (work.gated) values = multiply(silu(values), load_floats(passed.at(token - first, b)));
            float* outputs = work.outputs[which] + token * packed.layout.rows;
            store_rows(packed.layout, index + b, values, work.addends_of(token), outputs);
        }
    }
}

template <int BITS>
void many_tokens(Team& team, const Work& work, const Rounded& rounded) {
    const int64_t chunks = (work.tokens + CHUNK_TOKENS - 1) / CHUNK_TOKENS;
    const auto tasks = [&](const Layout& layout) { return (layout.blocks() + TILE_BLOCKS - 1) / TILE_BLOCKS * chunks; };
    for_all(team, work, tasks, [&](size_t which, int64_t task) {
        const int64_t index = task / chunks * TILE_BLOCKS, end = work.weights[which]->layout.blocks();
        const int64_t first = task % chunks * CHUNK_TOKENS, last = std::min(work.tokens, first + CHUNK_TOKENS);
        if (index + TILE_BLOCKS <= end) {
            store_chunk<BITS, TILE_BLOCKS>(work, which, index, rounded, first, last);
        } else {
            for (int64_t i = index; i < end; i++) store_chunk<BITS, 1>(work, which, i, rounded, first, last);
        }
    });
}

template <int BITS>
void do_work(Team& team, const Work& work) {
    const Layout& layout = work.weights.front()->layout;
    Rounded rounded(layout, work.tokens);
    if (work.tokens == 1) {
        round_token(layout, work.inputs, rounded, 0);
        if (work.next != nullptr) team.expect(*work.next);
        prefetches() ? one_token<BITS, true>(team, work, rounded) : one_token<BITS, false>(team, work, rounded);
    } else {
        team.run(work.tokens, [&](int64_t token) {
            round_token(layout, work.inputs + token * layout.columns, rounded, token);
        });
        many_tokens<BITS>(team, work, rounded);
    }
}

inline void multiply_all(Team& team, const Work& work) {
    work.weights.front()->layout.bits == 4 ? do_work<4>(team, work) : do_work<8>(team, work);
}

}  // namespace lilliput
