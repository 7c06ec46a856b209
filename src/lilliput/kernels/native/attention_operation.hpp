// Attention with its cache as an operation of OpenVINO's graphs: what a state and an attention over it are otherwise.

#pragma once

#include "attention_team.hpp"
#include "failure.hpp"
#include "shared.hpp"

namespace lilliput {

// Inputs: queries, keys, values, each [sequences, heads, tokens, width], or [sequences, tokens, heads, width] as
// `tokens_first` tells of each; what of all tokens is no padding, int32 [sequences, tokens before and new]; which
// sequence of the call before each one goes on from, int32 [sequences]. Output: [sequences, tokens, heads * width].
// Where there are no tokens before, the cache starts anew. Without the last two inputs each sequence goes on from
// itself, and nothing is padding: shapes that never change then spare the engine much of its work around an operation.
class CachedAttention : public Operation {
public:
    OPENVINO_OP("CachedAttention", "lilliput");
    CachedAttention() = default;
    CachedAttention(const ov::OutputVector& arguments, const CachedAttention& other)
        : Operation(arguments, other.owner), number(other.number), tokens_first(other.tokens_first), work(other.work) {
        constructor_validate_and_infer_types();
    }

    std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& arguments) const override {
        return std::make_shared<CachedAttention>(arguments, *this);
    }

    bool visit_attributes(ov::AttributeVisitor& visitor) override {
        visitor.on_attribute("cache", number);
        visitor.on_attribute("heads", work.heads.queries);
        visitor.on_attribute("kv_heads", work.heads.keys);
        visitor.on_attribute("width", work.heads.width);
        visitor.on_attribute("window", work.window);
        visitor.on_attribute("tokens_first", tokens_first);
        visitor.on_attribute("threads", work.threads);
        return Operation::visit_attributes(visitor);
    }

private:
    void infer() override {
        if (!work.team) {
            work.team = shared_of<Team>(work.threads);
            work.cache = caches.at(number);
        }
        for (size_t i = 0; i < get_input_size(); i++) {
            const bool is_numbers = i < 3;
            OPENVINO_ASSERT(get_input_element_type(i) == (is_numbers ? ov::element::f32 : ov::element::i32) &&
                                get_input_partial_shape(i).rank().compatible(is_numbers ? 4 : i == 3 ? 2 : 1),
                            "CachedAttention: an input of another type or rank");
        }
        const auto shape = get_input_partial_shape(0);
        const int64_t width = work.heads.queries * work.heads.width;
        set_output_type(0, ov::element::f32, {shape[0], shape[tokens_first[0] ? 1 : 2], width});
    }

    void compute(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override {
        const auto shape = inputs[0].get_shape();
        const int64_t sequences = shape[0], tokens = shape[tokens_first[0] ? 1 : 2];
        const Heads& heads = work.heads;
        outputs[0].set_shape({shape[0], static_cast<size_t>(tokens), static_cast<size_t>(heads.queries * heads.width)});
        if (sequences == 0 || tokens == 0) return;
        const Places queries = places(inputs[0], 0, heads.queries, sequences, tokens);
        const Places keys = places(inputs[1], 1, heads.keys, sequences, tokens);
        const Places values = places(inputs[2], 2, heads.keys, sequences, tokens);
        prepare(inputs, sequences, tokens);
        const auto* real = inputs.size() > 3 ? static_cast<const int32_t*>(inputs[3].data()) : nullptr;
        work.run(queries, keys, values, tokens, real, static_cast<float*>(outputs[0].data()));
    }

    Places places(const ov::Tensor& tensor, size_t which, int64_t count, int64_t sequences, int64_t new_tokens) const {
        const auto shape = tensor.get_shape();
        const bool first = tokens_first[which];
        const int64_t tokens = shape[first ? 1 : 2], width = work.heads.width;
        OPENVINO_ASSERT(static_cast<int64_t>(shape[first ? 2 : 1]) == count && static_cast<int64_t>(shape[3]) == width,
                        "CachedAttention: an input has other heads");
        OPENVINO_ASSERT(static_cast<int64_t>(shape[0]) == sequences && tokens == new_tokens,
                        "CachedAttention: keys or values of other tokens than the queries");
        return {static_cast<const float*>(tensor.data()), tokens * count * width, first ? count * width : width,
                first ? width : tokens * width};
    }

    // The cache as the new tokens find it, with room for them.
    void prepare(const ov::TensorVector& inputs, int64_t sequences, int64_t tokens) const {
        if (inputs.size() == 3) {
            OPENVINO_ASSERT(work.cache->count() == sequences,
                            "CachedAttention: nothing was read yet of so many sequences");
        } else {
            const auto mask = inputs[3].get_shape(), order = inputs[4].get_shape();
            OPENVINO_ASSERT(static_cast<int64_t>(mask[0]) == sequences && static_cast<int64_t>(order[0]) == sequences,
                            "CachedAttention: the mask or the order is not of as many sequences");
            const int64_t past = static_cast<int64_t>(mask[1]) - tokens;
            if (past == 0) work.cache->restart(sequences);
            OPENVINO_ASSERT(past == work.cache->length, "CachedAttention: the mask is not of what was read");
            if (past > 0) reorder(static_cast<const int32_t*>(inputs[4].data()), sequences);
        }
        work.cache->extend(tokens, work.heads);
    }

    void reorder(const int32_t* parents, int64_t sequences) const {
        for (int64_t i = 0; i < sequences; i++) {
            OPENVINO_ASSERT(parents[i] >= 0 && parents[i] < work.cache->count(), "CachedAttention: no such sequence");
        }
        work.cache->reorder(parents, sequences);
    }

    int64_t number = 0;                 // of the cache
    std::vector<int64_t> tokens_first;  // of queries, keys and values
    AttentionTeam work;                 // all copies have the same cache
};

}  // namespace lilliput
