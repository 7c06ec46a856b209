// Memory for packed weights and the cache, in huge pages where the system has them, so that reading gigabytes causes
// fewer TLB misses. Many allocations share a slab; otherwise each would leave most of its last huge page empty.

#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

namespace lilliput {

constexpr int64_t LARGE_PAGE = int64_t{1} << 21;
constexpr int64_t SLAB = LARGE_PAGE * 128;  // of address space: pages that are never written are never resident

using Bytes = std::shared_ptr<uint8_t>;

// Size of a slab that holds an allocation of `bytes`.
inline int64_t slab_bytes(int64_t bytes) {
    return std::max(SLAB, (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE);
}

inline Bytes new_slab(int64_t bytes) {
    void* slab = std::aligned_alloc(LARGE_PAGE, bytes);
    if (slab == nullptr) throw std::bad_alloc();
    madvise(slab, bytes, MADV_HUGEPAGE);  // a hint: it may fail without harm
    return {static_cast<uint8_t*>(slab), std::free};
}

// Allocates `bytes`, a multiple of 64, aligned to 64. The slab lives as long as anything in it.
inline Bytes allocated(int64_t bytes) {
    static std::mutex mutex;
    static std::weak_ptr<uint8_t> current;
    static int64_t used = 0;
    const std::lock_guard<std::mutex> lock(mutex);
    auto slab = current.lock();
    if (!slab || used + bytes > SLAB) {
        slab = new_slab(slab_bytes(bytes));
        current = slab;
        used = 0;
    }
    Bytes place(slab, slab.get() + used);
    used += bytes;
    return place;
}

// Reusable pieces of equal size: one pool for all who need pieces of that many bytes (shared_of).
class Pool {
public:
    explicit Pool(int64_t bytes) : bytes(bytes) {}

    uint8_t* take() {
        const std::lock_guard<std::mutex> lock(mutex);
        if (!unused.empty()) {
            uint8_t* piece = unused.back();
            unused.pop_back();
            return piece;
        }
        if (slabs.empty() || used + bytes > slab_bytes(bytes)) {
            slabs.push_back(new_slab(slab_bytes(bytes)));
            used = 0;
        }
        used += bytes;
        return slabs.back().get() + used - bytes;
    }

    void give_back(uint8_t* piece) {
        const std::lock_guard<std::mutex> lock(mutex);
        unused.push_back(piece);
    }

private:
    const int64_t bytes;
    std::mutex mutex;
    std::vector<Bytes> slabs;
    std::vector<uint8_t*> unused;
    int64_t used = 0;  // bytes of the last slab
};

// An uninitialized buffer for `count` numbers, aligned to 64 bytes.
template <typename Number>
class Buffer {
public:
    explicit Buffer(int64_t count)
        : numbers(static_cast<Number*>(std::aligned_alloc(64, (count * sizeof(Number) + 63) / 64 * 64))) {
        if (count && !numbers) throw std::bad_alloc();
    }
    Number* data() { return numbers.get(); }
    const Number* data() const { return numbers.get(); }
    Number& operator[](int64_t i) { return numbers[i]; }
    Number operator[](int64_t i) const { return numbers[i]; }

private:
    struct Free {
        void operator()(Number* numbers) const { std::free(numbers); }
    };
    std::unique_ptr<Number[], Free> numbers;
};

}  // namespace lilliput
