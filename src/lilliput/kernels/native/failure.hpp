// What went wrong in an operation. The engine (OpenVINO 2026.4.1) loses the exceptions of operations whose shapes are
// not static, and continues with what was in their outputs before. So whoever runs a graph must ask here afterwards,
// with the number of the graph's owner, which all of its operations have.

#pragma once

#include <cstdint>
#include <exception>
#include <map>
#include <mutex>
#include <openvino/op/op.hpp>
#include <string>

namespace lilliput {

class Failure {
public:
    void note(int64_t owner, const std::string& what) {
        const std::lock_guard<std::mutex> lock(mutex);
        messages.emplace(owner, what);
    }
    // The owner's first failure since the last call; empty: nothing went wrong.
    std::string take(int64_t owner) {
        const std::lock_guard<std::mutex> lock(mutex);
        const auto found = messages.extract(owner);
        return found ? found.mapped() : std::string();
    }

private:
    std::mutex mutex;
    std::map<int64_t, std::string> messages;
};

inline Failure failure;

// An operation whose failures are recorded.
class Operation : public ov::op::Op {
public:
    Operation() = default;
    Operation(const ov::OutputVector& arguments, int64_t owner) : Op(arguments), owner(owner) {}

    bool visit_attributes(ov::AttributeVisitor& visitor) override {
        visitor.on_attribute("owner", owner);
        return true;
    }

    void validate_and_infer_types() final {
        noted([&] { infer(); });
    }

    bool evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const final {
        noted([&] { compute(outputs, inputs); });
        return true;
    }

    bool has_evaluate() const final { return true; }

protected:
    int64_t owner = 0;

private:
    template <typename Body>
    void noted(const Body& body) const {
        try {
            body();
        } catch (const std::exception& error) {
            failure.note(owner, error.what());
            throw;
        }
    }

    // Infers the outputs from what is known of the inputs: while a graph is built, and again with each run's shapes.
    virtual void infer() = 0;
    virtual void compute(ov::TensorVector& outputs, const ov::TensorVector& inputs) const = 0;
};

}  // namespace lilliput
