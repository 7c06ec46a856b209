// Memory for packed weights: large pages where the system has them, so that reading gigabytes asks less of the processor's
// table of pages. Weights share slabs, or each would leave most of its last large page empty.

#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>

namespace lilliput {

constexpr int64_t LARGE_PAGE = int64_t{1} << 21;
constexpr int64_t SLAB = LARGE_PAGE * 32;

using Bytes = std::shared_ptr<uint8_t>;

inline Bytes new_slab(int64_t bytes) {
    void* slab = std::aligned_alloc(LARGE_PAGE, bytes);
    if (slab == nullptr) throw std::bad_alloc();
    madvise(slab, bytes, MADV_HUGEPAGE);  // a wish: nothing is lost where it is not granted
    return {static_cast<uint8_t*>(slab), std::free};
}

// `bytes`, a multiple of 64, aligned to 64; the slab lives as long as anything in it.
inline Bytes allocated(int64_t bytes) {
    static std::mutex mutex;
    static std::weak_ptr<uint8_t> current;
    static int64_t used = 0;
    const std::lock_guard<std::mutex> lock(mutex);
    auto slab = current.lock();
    if (!slab || used + bytes > SLAB) {
        const int64_t size = std::max(SLAB, (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE);
        slab = new_slab(size);
        current = slab;
        used = 0;
    }
    Bytes place(slab, slab.get() + used);
    used += bytes;
    return place;
}

// Room for so many numbers, aligned to 64 bytes, with whatever lay there before.
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
