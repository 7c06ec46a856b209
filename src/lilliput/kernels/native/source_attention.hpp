// Cross-attention of a target's tokens to a source, whose keys and values the encoder's graph leaves in a cache.

#pragma once

#include "attention_operation.hpp"

namespace lilliput {

// Inputs: keys and values of sources' tokens, which replace earlier ones. Output: the number of tokens of each source,
// int32 [sequences].
class SourceMemory : public AttentionOperation {
public:
    OPENVINO_OP("SourceMemory", "lilliput");
    SourceMemory() = default;
    SourceMemory(const ov::OutputVector& arguments, const SourceMemory& other) : AttentionOperation(arguments, other) {
        constructor_validate_and_infer_types();
    }

    std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& arguments) const override {
        return std::make_shared<SourceMemory>(arguments, *this);
    }

private:
    void infer() override {
        open();
        for (size_t i = 0; i < 2; i++) expect(i, ov::element::f32, 4);
        set_output_type(0, ov::element::i32, {get_input_partial_shape(0)[0]});
    }

    void compute(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override {
        const int64_t sequences = inputs[0].get_shape()[0], length = tokens_of(inputs[0], 0);
        OPENVINO_ASSERT(is_of(inputs[1], sequences) && tokens_of(inputs[1], 1) == length,
                        "SourceMemory: keys of other sequences or tokens than the values");
        const KeysAndValues source{places(inputs[0], 0, work.heads.keys), places(inputs[1], 1, work.heads.keys)};
        work.cache->restart(sequences);
        work.cache->extend(length, work.heads);
        if (length > 0) work.write(source, 0);
        outputs[0].set_shape({static_cast<size_t>(sequences)});
        std::fill_n(static_cast<int32_t*>(outputs[0].data()), sequences, static_cast<int32_t>(length));
    }
};

// Inputs: queries; a mask, 0 at padding of the source, int32 [sequences, its tokens]; the order, which sequence of the
// previous call each one continues, int32 [sequences]; any tensor [sequences, earlier and new tokens of the target].
// Without earlier tokens, the sequences are the sources that were read last. With queries alone each sequence continues
// itself, and nothing is padding.
class SourceAttention : public AttentionOperation {
public:
    OPENVINO_OP("SourceAttention", "lilliput");
    SourceAttention() = default;
    SourceAttention(const ov::OutputVector& arguments, const SourceAttention& other)
        : AttentionOperation(arguments, other) {
        constructor_validate_and_infer_types();
    }

    std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& arguments) const override {
        return std::make_shared<SourceAttention>(arguments, *this);
    }

private:
    bool goes_on() const { return get_input_size() == 1; }

    void infer() override {
        open();
        expect(0, ov::element::f32, 4);
        if (!goes_on()) {
            expect(1, ov::element::i32, 2);
            expect(2, ov::element::i32, 1);
            expect(3, get_input_element_type(3), 2);
        }
        set_output();
    }

    void compute(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override {
        if (!shape_output(outputs[0], inputs[0])) return;
        const int64_t sequences = inputs[0].get_shape()[0], tokens = tokens_of(inputs[0], 0);
        const Heads& heads = work.heads;
        const Places queries = places(inputs[0], 0, heads.queries);
        if (!goes_on()) prepare(inputs, sequences, tokens);
        OPENVINO_ASSERT(work.cache->count() == sequences && work.cache->has_for(heads),
                        "SourceAttention: no sources of so many sequences, or of other heads, were read");
        const auto* mask = goes_on() ? nullptr : integers(inputs[1]);
        work.run_over_source(queries, tokens, mask, static_cast<float*>(outputs[0].data()));
    }

    void prepare(const ov::TensorVector& inputs, int64_t sequences, int64_t tokens) const {
        OPENVINO_ASSERT(is_of(inputs[1], sequences) && is_of(inputs[2], sequences) && is_of(inputs[3], sequences),
                        "SourceAttention: a mask or the order is not of as many sequences");
        OPENVINO_ASSERT(static_cast<int64_t>(inputs[1].get_shape()[1]) == work.cache->length,
                        "SourceAttention: the mask is not of the source");
        if (static_cast<int64_t>(inputs[3].get_shape()[1]) > tokens) reorder(inputs[2], sequences);
    }
};

}  // namespace lilliput
