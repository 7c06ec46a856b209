// What went wrong in an operation. The engine loses the exceptions of operations whose shapes are not fixed (OpenVINO
// 2026.4.1) and goes on with what was in their outputs before, so that whoever runs a graph asks here afterwards.

#pragma once

#include <exception>
#include <mutex>
#include <openvino/op/op.hpp>
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

// An operation whose failures are noted.
class Operation : public ov::op::Op {
public:
    using Op::Op;

    bool evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const final {
        try {
            compute(outputs, inputs);
            return true;
        } catch (const std::exception& error) {
            failure.note(error.what());
            throw;
        }
    }

    bool has_evaluate() const final { return true; }

private:
    virtual void compute(ov::TensorVector& outputs, const ov::TensorVector& inputs) const = 0;
};

}  // namespace lilliput
