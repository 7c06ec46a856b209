// Products with packed weights as an operation of OpenVINO's graphs.

#pragma once

#include "failure.hpp"
#include "products_team.hpp"
#include "shared.hpp"

namespace lilliput {

// The same inputs times several weights of equal columns, groups and bits, with one output for each; or times two
// weights of equal rows, a gate's and the one it gates, with a single output. A second input is added to the only
// output.
class QuantizedProducts : public Operation {
public:
    OPENVINO_OP("QuantizedProducts", "lilliput");
    QuantizedProducts() = default;
    QuantizedProducts(const ov::OutputVector& arguments, const QuantizedProducts& other)
        : Operation(arguments, other.owner), numbers(other.numbers), threads(other.threads), gated(other.gated),
          weights(other.weights), team(other.team) {
        constructor_validate_and_infer_types();
    }

    std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& arguments) const override {
        return std::make_shared<QuantizedProducts>(arguments, *this);
    }

    bool visit_attributes(ov::AttributeVisitor& visitor) override {
        visitor.on_attribute("weights", numbers);
        visitor.on_attribute("threads", threads);
        visitor.on_attribute("gated", gated);
        return Operation::visit_attributes(visitor);
    }

private:
    void infer() override {
        if (!team) {
            for (const int64_t number : numbers) weights.push_back(registry.at(number));
            team = shared_of<Team>(threads);
        }
        auto shape = get_input_partial_shape(0);
        OPENVINO_ASSERT(get_input_element_type(0) == ov::element::f32 && shape.rank().is_static() && shape.size() > 0,
                        "QuantizedProducts: inputs must be float32");
        OPENVINO_ASSERT(shape[shape.size() - 1].compatible(weights.front()->layout.columns),
                        "QuantizedProducts: inputs are not as wide as the weights");
        for (const auto& packed : weights) check(packed->layout);
        for (size_t i = 0; i < (gated ? 1 : weights.size()); i++) {
            shape[shape.size() - 1] = weights[i]->layout.rows;
            set_output_type(i, ov::element::f32, shape);
        }
    }

    void check(const Layout& layout) const {
        const Layout& first = weights.front()->layout;
        OPENVINO_ASSERT(layout.columns == first.columns && layout.group == first.group && layout.bits == first.bits,
                        "QuantizedProducts: weights of different columns, groups or bits");
        OPENVINO_ASSERT(!gated || (weights.size() == 2 && layout.rows == first.rows),
                        "QuantizedProducts: a gate of other rows");
    }

    void compute(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override {
        const Layout& layout = weights.front()->layout;
        auto shape = inputs[0].get_shape();
        OPENVINO_ASSERT(static_cast<int64_t>(shape.back()) == layout.columns,
                        "QuantizedProducts: inputs are not as wide as the weights");
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

    std::vector<int64_t> numbers;  // copies keep them: the engine merges operations of equal attributes
    int64_t threads = 1;
    bool gated = false;
    std::vector<Weights> weights;
    std::shared_ptr<Team> team;
};

}  // namespace lilliput
