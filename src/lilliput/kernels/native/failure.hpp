// What went wrong in an operation. The engine loses the exceptions of operations whose shapes are not fixed (OpenVINO
// 2026.4.1) and goes on with what was in their outputs before, so that whoever runs a graph asks here afterwards.

#pragma once

#include <exception>
#include <mutex>
#include <string>
#include <utility>

namespace lilliput {

class Failure {
public:
    void note(const std::string& what) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (message.empty()) message = what;
    }
    // The first since it was asked for last; empty: nothing went wrong.
    std::string take() {
        const std::lock_guard<std::mutex> lock(mutex);
        return std::exchange(message, {});
    }

private:
    std::mutex mutex;
    std::string message;
};

inline Failure failure;

template <typename Body>
bool noting_failure(const Body& body) {
    try {
        body();
        return true;
    } catch (const std::exception& error) {
        failure.note(error.what());
        throw;
    }
}

}  // namespace lilliput
