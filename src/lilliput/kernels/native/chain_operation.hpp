// A chain of steps as one operation of OpenVINO's graphs.

#pragma once

#include <memory>

#include "chain.hpp"
#include "failure.hpp"
#include "shared.hpp"

namespace lilliput {

// Inputs: values 0, 1, ... of the chain. Output: the last value, [1, 1, its size].
//
// `program` holds lists, each preceded by its length: the sizes of all values; then for each step its kind, and the
// lists of its inputs, outputs and numbers.
class Chain : public Operation {
public:
    OPENVINO_OP("Chain", "lilliput");
    Chain() = default;
    Chain(const ov::OutputVector& arguments, const Chain& other)
        : Operation(arguments, other.owner), program(other.program), threads(other.threads), read(other.read) {
        constructor_validate_and_infer_types();
    }

    std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& arguments) const override {
        return std::make_shared<Chain>(arguments, *this);
    }

    bool visit_attributes(ov::AttributeVisitor& visitor) override {
        visitor.on_attribute("program", program);
        visitor.on_attribute("threads", threads);
        return Operation::visit_attributes(visitor);
    }

private:
    void infer() override {
        if (!read) read = std::make_shared<Read>(program, shared_of<Team>(threads), threads, get_input_size());
        for (size_t i = 0; i < get_input_size(); i++) {
            OPENVINO_ASSERT(get_input_element_type(i) == ov::element::f32, "Chain: inputs must be float32");
        }
        set_output_type(0, ov::element::f32, {1, 1, read->sizes.back()});
    }

    // A parsed program, with a buffer for the values that are neither inputs nor the output.
    struct Read {
        std::vector<int64_t> sizes;
        std::vector<Step> steps;
        Buffer<float> room{0};

        Read(const std::vector<int64_t>& program, const std::shared_ptr<Team>& team, int64_t threads, size_t inputs) {
            size_t at = 0;
            const auto number = [&] {
                OPENVINO_ASSERT(at < program.size(), "Chain: the program ends early");
                return program[at++];
            };
            const auto list = [&] {
                std::vector<int64_t> found(number());
                for (auto& value : found) value = number();
                return found;
            };
            sizes = list();
            std::vector<Written> written;
            while (at < program.size()) written.push_back({static_cast<Kind>(number()), list(), list(), list()});
            steps = steps_of(written, sizes, team, threads);
            int64_t total = 0;
            for (size_t i = inputs; i + 1 < sizes.size(); i++) total += Layout::aligned(sizes[i]);
            room = Buffer<float>(total);
        }
    };

    void compute(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override {
        Values values;
        for (size_t i = 0; i < inputs.size(); i++) {
            OPENVINO_ASSERT(static_cast<int64_t>(inputs[i].get_size()) == read->sizes[i], "Chain: another size");
            values.push_back(const_cast<float*>(static_cast<const float*>(inputs[i].data())));
        }
        int64_t place = 0;
        for (size_t i = inputs.size(); i + 1 < read->sizes.size(); place += Layout::aligned(read->sizes[i++])) {
            values.push_back(read->room.data() + place);
        }
        outputs[0].set_shape({1, 1, static_cast<size_t>(read->sizes.back())});
        values.push_back(static_cast<float*>(outputs[0].data()));
        for (const auto& step : read->steps) step(values);
    }

    std::vector<int64_t> program;
    int64_t threads = 1;
    std::shared_ptr<Read> read;
};

}  // namespace lilliput
