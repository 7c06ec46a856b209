// Attention of a target's tokens to a source: what a decoder sees of what its encoder made.

#pragma once

#include "attention_operation.hpp"

namespace lilliput {

// Behind queries, and keys and values of the source's tokens: what of these is no padding, int32 [sequences, source's
// tokens]; which sequence of the call before each one goes on from, int32 [sequences]; the target's mask, whose length
// is that of the tokens before and new ones, int32. Keys and values are read where there are no tokens before, and
// kept: later calls may give any. With queries alone each sequence goes on from itself, and nothing is padding.
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
        for (size_t i = 0; i < (goes_on() ? 1 : 3); i++) expect(i, ov::element::f32, 4);
        for (size_t i = 3; i < get_input_size(); i++) expect(i, ov::element::i32, i == 4 ? 1 : 2);
        set_output();
    }

    void compute(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override {
        const auto shape = inputs[0].get_shape();
        const int64_t sequences = shape[0], tokens = tokens_of(inputs[0], 0);
        const Heads& heads = work.heads;
        outputs[0].set_shape({shape[0], static_cast<size_t>(tokens), static_cast<size_t>(heads.queries * heads.width)});
        if (sequences == 0 || tokens == 0) return;
        const Places queries = places(inputs[0], 0, heads.queries);
        if (!goes_on()) prepare(inputs, sequences, tokens);
        OPENVINO_ASSERT(work.cache->count() == sequences, "SourceAttention: no sources of so many sequences were read");
        work.look(queries, tokens, goes_on() ? nullptr : integers(inputs[3]), static_cast<float*>(outputs[0].data()));
    }

    void prepare(const ov::TensorVector& inputs, int64_t sequences, int64_t tokens) const {
        OPENVINO_ASSERT(is_of(inputs[3], sequences) && is_of(inputs[4], sequences) && is_of(inputs[5], sequences),
                        "SourceAttention: a mask or the order is not of as many sequences");
        if (static_cast<int64_t>(inputs[5].get_shape()[1]) == tokens) {
            read(inputs, sequences);
        } else {
            reorder(inputs[4], sequences);
        }
        OPENVINO_ASSERT(static_cast<int64_t>(inputs[3].get_shape()[1]) == work.cache->length,
                        "SourceAttention: the mask is not of the source");
    }

    void read(const ov::TensorVector& inputs, int64_t sequences) const {
        const int64_t length = tokens_of(inputs[1], 1);
        OPENVINO_ASSERT(is_of(inputs[1], sequences) && is_of(inputs[2], sequences) && tokens_of(inputs[2], 2) == length,
                        "SourceAttention: keys or values of other sequences or tokens");
        const KeysAndValues source{places(inputs[1], 1, work.heads.keys), places(inputs[2], 2, work.heads.keys)};
        work.cache->restart(sequences);
        work.cache->extend(length, work.heads);
        if (length > 0) work.write(source, 0);
    }
};

}  // namespace lilliput
