// A pool of threads that work together on one product after another.
//
// A token's products take some ten microseconds each, and so does waking a thread, so helpers spin for a while before
// they sleep. The caller does not wait for a helper that comes too late to begin. Each thread begins with a contiguous
// part of its own, then helps with the others' parts. A thread with nothing to do prefetches what it reads next, so
// that memory is not idle between two products.

#pragma once

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "lanes.hpp"

namespace lilliput {

constexpr int64_t MOST_THREADS = 1024;
constexpr auto LOOKOUT = std::chrono::microseconds(2000);  // longer than the gap between two tokens
constexpr int64_t PATIENCE = 4096;  // spins while helpers finish: some tenths of a millisecond
constexpr int64_t PREFETCHED = 1 << 17;  // bytes of each stream to prefetch: the L2 cache holds two

// Where a thread begins to read: two streams.
struct Beginning {
    const uint8_t* streams[2];
};

// Number of forks between the process that loaded the library and this one.
inline int64_t forks() {
    static std::atomic<int64_t> count{0};
    static const int counting = pthread_atfork(nullptr, nullptr, [] { count.fetch_add(1); });
    static_cast<void>(counting);
    return count.load(std::memory_order_relaxed);
}

// Graphs of a process with the same number of threads share one team (shared_of). After a fork, the child has no
// helpers and works alone.
class Team {
public:
    explicit Team(int64_t threads) : parts(std::clamp<int64_t>(threads, 1, MOST_THREADS)) {
        try {
            for (size_t i = 1; i < parts.size(); i++) helpers->threads.emplace_back([this, i] { help(i); });
        } catch (const std::system_error&) {  // the system has no more threads: the existing ones do all the work
        }
    }

    ~Team() {
        if (forks() != born) {
            static_cast<void>(helpers.release());  // threads missing here cannot be joined, nor their locks freed
            return;
        }
        {
            const std::lock_guard<std::mutex> lock(helpers->mutex);
            ended = true;
        }
        helpers->wake.notify_all();
        for (auto& helper : helpers->threads) helper.join();
    }

    int64_t size() const { return parts.size(); }

    // Sets where each thread begins in what will be run next. It is only prefetched, never read.
    void expect(const std::vector<Beginning>& beginnings) {
        for (size_t i = 0; i < parts.size(); i++) {
            for (int k = 0; k < 2; k++) parts[i].streams[k].store(beginnings[i].streams[k], std::memory_order_relaxed);
            parts[i].prefetched.store(0, std::memory_order_relaxed);
        }
    }

    // Calls `task` with 0 to count - 1, in any order; in the caller alone if the team is busy.
    void run(int64_t count, const std::function<void(int64_t)>& task) {
        const std::unique_lock<std::mutex> caller(busy, std::try_to_lock);
        if (helpers->threads.empty() || count < 2 || !caller.owns_lock() || forks() != born) {
            for (int64_t i = 0; i < count; i++) task(i);
            return;
        }
        job = &task;
        for (size_t i = 0; i < parts.size(); i++) {
            parts[i].next = count * i / parts.size();
            parts[i].end = count * (i + 1) / parts.size();
        }
        failed = nullptr;
        open = true;
        product.fetch_add(1);
        if (sleeping.load() > 0) {
            { const std::lock_guard<std::mutex> lock(helpers->mutex); }
            helpers->wake.notify_all();
        }
        work(0);
        open = false;  // helpers that have not joined by now are too late
        for (int64_t looks = 0; joined.load() > 0; looks++) {
            if (looks < PATIENCE) {
                if (!prefetch_ahead(0)) pause();
            } else {
                std::this_thread::yield();  // a helper may need this processor
            }
        }
        if (failed) std::rethrow_exception(failed);
    }

private:
    // An exception from a task ends this thread's share of the work, and is rethrown when all threads have finished.
    void work(size_t own) {
        try {
            take_tasks(own);
        } catch (...) {
            const std::lock_guard<std::mutex> lock(helpers->mutex);
            if (!failed) failed = std::current_exception();
        }
    }

    void take_tasks(size_t own) {
        for (size_t k = 0; k < parts.size(); k++) {
            Part& part = parts[(own + k) % parts.size()];
            for (int64_t i = part.next.fetch_add(1); i < part.end; i = part.next.fetch_add(1)) (*job)(i);
        }
    }

    void help(size_t own) {
        uint64_t seen = 0;
        while (wait_for_product(own, seen)) {
            joined.fetch_add(1);
            if (open.load()) work(own);
            joined.fetch_sub(1);
        }
    }

    // Prefetches a little more of what a thread will read; false if enough has been.
    bool prefetch_ahead(size_t own) {
        Part& part = parts[own];
        const int64_t done = part.prefetched.load(std::memory_order_relaxed);
        if (done >= PREFETCHED) return false;
        for (const auto& stream : part.streams) prefetch_line_far(stream.load(std::memory_order_relaxed) + done);
        part.prefetched.store(done + 64, std::memory_order_relaxed);
        return true;
    }

    // Waits for a product other than `seen`; false if the team ends.
    bool wait_for_product(size_t own, uint64_t& seen) {
        const auto until = std::chrono::steady_clock::now() + LOOKOUT;
        while (product.load() == seen && std::chrono::steady_clock::now() < until) {
            for (int i = 0; i < 64 && product.load() == seen; i++) {
                if (!prefetch_ahead(own)) pause();
            }
            if (product.load() == seen) std::this_thread::yield();  // others may need this processor
        }
        if (product.load() == seen) {
            std::unique_lock<std::mutex> lock(helpers->mutex);
            sleeping.fetch_add(1);
            helpers->wake.wait(lock, [&] { return ended || product.load() != seen; });
            sleeping.fetch_sub(1);
        }
        seen = product.load();
        return !ended;
    }

    struct alignas(64) Part {
        std::atomic<int64_t> next{0};  // next task to take; none from `end` on
        int64_t end = 0;
        std::atomic<const uint8_t*> streams[2]{nullptr, nullptr};  // where the thread begins next
        std::atomic<int64_t> prefetched{PREFETCHED};               // bytes of each stream
    };

    struct Helpers {
        std::vector<std::thread> threads;
        std::mutex mutex;
        std::condition_variable wake;
    };

    const int64_t born = forks();
    std::vector<Part> parts;  // of the tasks, one per thread
    std::unique_ptr<Helpers> helpers = std::make_unique<Helpers>();
    std::mutex busy;
    std::atomic<uint64_t> product{0};
    std::atomic<int64_t> joined{0}, sleeping{0};
    std::atomic<bool> open{false}, ended{false};
    const std::function<void(int64_t)>* job = nullptr;
    std::exception_ptr failed;
};

}  // namespace lilliput
