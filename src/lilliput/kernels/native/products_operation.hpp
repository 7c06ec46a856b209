// Products with packed weights as an operation of OpenVINO's graphs.

#pragma once

#include "failure.hpp"
#include "products_team.hpp"
#include "shared.hpp"

namespace lilliput {

// The same inputs times several weights of equal columns, groups and bits: an output for each; or, of two weights of
// equal rows, a gate's and what it lets through, one. A second input is added to the only output.
class QuantizedProducts : public Operation {
public:
    OPENVINO_OP("QuantizedProducts", "lilliput");
    QuantizedProducts() = default;
    QuantizedProducts(const ov::OutputVector& arguments, const QuantizedProducts& other)
        : Operation(arguments), numbers(other.numbers), threads(other.threads), gated(other.gated),
          weights(other.weights), team(other.team) {
        constructor_validate_and_infer_types();
    }

    void validate_and_infer_types() override {
        if (!team) {
            for (const int64_t number : numbers) weights.push_back(registry.at(number));
            team = shared_of<Team>(threads);
        }
        auto shape = get_input_partial_shape(0);
        for (size_t i = 0; i < (gated ? 1 : weights.size()); i++) {
            shape[shape.size() - 1] = weights[i]->layout.rows;
            set_output_type(i, ov::element::f32, shape);
        }
    }

    std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& arguments) const override {
        return std::make_shared<QuantizedProducts>(arguments, *this);
    }

    bool visit_attributes(ov::AttributeVisitor& visitor) override {
        visitor.on_attribute("weights", numbers);
        visitor.on_attribute("threads", threads);
        visitor.on_attribute("gated", gated);
        return true;
    }

private:
    void compute(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override {
        const Layout& layout = weights.front()->layout;
        auto shape = inputs[0].get_shape();
        const int64_t tokens = inputs[0].get_size() / layout.columns;
        std::vector<float*> places;
        for (size_t i = 0; i < outputs.size(); i++) {
            shape.back() = weights[i]->layout.rows;
            outputs[i].set_shape(shape);
            places.push_back(static_cast<float*>(outputs[i].data()));
        }
        OPENVINO_ASSERT(inputs.size() == 1 || inputs[1].get_size() == outputs[0].get_size(),
                        "QuantizedProducts: what is added has another shape");
        const auto* addends = inputs.size() > 1 ? static_cast<const float*>(inputs[1].data()) : nullptr;
        const auto* values = static_cast<const float*>(inputs[0].data());
        const Work work{weights, gated, tokens, values, addends, places.data()};
        if (tokens > 0) multiply_all(*team, work);
    }

    std::vector<int64_t> numbers;  // copies keep them: the engine takes operations of equal attributes for one
    int64_t threads = 1;
    bool gated = false;
    std::vector<Weights> weights;
    std::shared_ptr<Team> team;
};

}  // namespace lilliput
