// Keys and values of the tokens read so far, in pages.
//
// Sequences that continue the same one share its pages until they write to them (copy on write), so many samples of one
// prompt store it once.

#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "page.hpp"
#include "shared.hpp"

namespace lilliput {

// All sequences of a batch, of equal length.
class Cache {
public:
    int64_t length = 0;

    // Discards everything, for `count` new sequences.
    void restart(int64_t count) {
        sequences.assign(count, {});
        length = 0;
    }

    int64_t count() const { return sequences.size(); }

    // Whether something was read, and is stored as such heads read it.
    bool has_for(const Heads& heads) const { return length > 0 && kept.keeps_as(heads); }

    // Sequence i continues what was sequence parents[i].
    void reorder(const int32_t* parents, int64_t count) {
        std::vector<Sequence> ordered;
        for (int64_t i = 0; i < count; i++) ordered.push_back(sequences[parents[i]]);
        sequences = std::move(ordered);
    }

    // Makes room for `tokens` more in each sequence, in pages that no other sequence shares.
    void extend(int64_t tokens, const Heads& heads) {
        if (!pool || !kept.keeps_as(heads)) pool = shared_of<Pool>(heads.page_bytes());
        kept = heads;
        for (auto& pages : sequences) {
            for (int64_t i = length / PAGE; i * PAGE < length + tokens; i++) {
                if (i == static_cast<int64_t>(pages.size())) {
                    pages.push_back(std::make_shared<Page>(heads, pool));
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
    std::shared_ptr<Pool> pool;
    Heads kept{};
    std::vector<Sequence> sequences;
};

// Caches by number, by which graphs refer to the cache they share.
class Caches {
public:
    int64_t next() { return ++last; }

    // The cache of `number`, which lives as long as any operation holds it.
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
