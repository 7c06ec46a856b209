// Objects shared by all who use the same number.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

namespace lilliput {

// The single Value made from `number`, which lives as long as anyone holds it.
template <typename Value>
std::shared_ptr<Value> shared_of(int64_t number) {
    static std::mutex mutex;
    static std::map<int64_t, std::weak_ptr<Value>> known;
    const std::lock_guard<std::mutex> lock(mutex);
    auto value = known[number].lock();
    if (!value) known[number] = value = std::make_shared<Value>(number);
    return value;
}

}  // namespace lilliput
