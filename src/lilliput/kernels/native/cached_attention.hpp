// Attention of tokens to themselves and to earlier ones, in place of a state and an attention over it.

#pragma once

#include "attention_operation.hpp"

namespace lilliput {

// Inputs after queries, keys and values: a mask, 0 at padding, int32 [sequences, earlier and new tokens]; the order,
// which sequence of the previous call each one continues, int32 [sequences]; and, if there are `distances`, the
// relative position bias, float32 [heads, distances] (see Bias). Without earlier tokens the cache is reset. Without
// mask and order each sequence continues itself, and nothing is padding: static shapes then spare the engine much of
// its work around an operation.
class CachedAttention : public AttentionOperation {
public:
    OPENVINO_OP("CachedAttention", "lilliput");
    CachedAttention() = default;
    CachedAttention(const ov::OutputVector& arguments, const CachedAttention& other)
        : AttentionOperation(arguments, other), distances(other.distances) {
        constructor_validate_and_infer_types();
    }

    std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& arguments) const override {
        return std::make_shared<CachedAttention>(arguments, *this);
    }

    bool visit_attributes(ov::AttributeVisitor& visitor) override {
        visitor.on_attribute("window", work.window);
        visitor.on_attribute("distances", distances);
        return AttentionOperation::visit_attributes(visitor);
    }

private:
    bool goes_on() const { return get_input_size() < 5; }

    void infer() override {
        open();
        for (size_t i = 0; i < 3; i++) expect(i, ov::element::f32, 4);
        if (!goes_on()) {
            expect(3, ov::element::i32, 2);
            expect(4, ov::element::i32, 1);
        }
        if (distances > 0) expect(get_input_size() - 1, ov::element::f32, 2);
        set_output();
    }

    void compute(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override {
        if (!shape_output(outputs[0], inputs[0])) return;
        const int64_t sequences = inputs[0].get_shape()[0], tokens = tokens_of(inputs[0], 0);
        const Heads& heads = work.heads;
        for (size_t i = 1; i < 3; i++) {
            OPENVINO_ASSERT(is_of(inputs[i], sequences) && tokens_of(inputs[i], i) == tokens,
                            "CachedAttention: keys or values of other tokens than the queries");
        }
        const Places queries = places(inputs[0], 0, heads.queries);
        const KeysAndValues added{places(inputs[1], 1, heads.keys), places(inputs[2], 2, heads.keys)};
        const Bias bias = this->bias(inputs.back());
        prepare(inputs, sequences, tokens);
        const auto* mask = goes_on() ? nullptr : integers(inputs[3]);
        work.run(queries, added, tokens, mask, bias, static_cast<float*>(outputs[0].data()));
    }

    Bias bias(const ov::Tensor& values) const {
        if (distances == 0) return {};
        OPENVINO_ASSERT(static_cast<int64_t>(values.get_size()) == work.heads.queries * distances,
                        "CachedAttention: what distances add is of other heads or distances");
        return {static_cast<const float*>(values.data()), distances / 2};
    }

    // Brings the cache into the state that the new tokens expect, with room for them.
    void prepare(const ov::TensorVector& inputs, int64_t sequences, int64_t tokens) const {
        if (goes_on()) {
            OPENVINO_ASSERT(work.cache->count() == sequences,
                            "CachedAttention: nothing was read yet of so many sequences");
        } else {
            OPENVINO_ASSERT(is_of(inputs[3], sequences) && is_of(inputs[4], sequences),
                            "CachedAttention: the mask or the order is not of as many sequences");
            const int64_t past = static_cast<int64_t>(inputs[3].get_shape()[1]) - tokens;
            if (past == 0) work.cache->restart(sequences);
            OPENVINO_ASSERT(past == work.cache->length, "CachedAttention: the mask is not of what was read");
            if (past > 0) reorder(inputs[4], sequences);
        }
        work.cache->extend(tokens, work.heads);
    }

    int64_t distances = 0;  // 2 * furthest + 1; 0: no bias
};

}  // namespace lilliput
