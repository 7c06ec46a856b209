// The common base of attention operations, with their cache, in OpenVINO's graphs.

#pragma once

#include "attention_team.hpp"
#include "failure.hpp"
#include "shared.hpp"

namespace lilliput {

// Inputs begin with queries, keys and values, or some of these, each [sequences, heads, tokens, width], or [sequences,
// tokens, heads, width] where `tokens_first` says so. Attention's output is [sequences, tokens, heads * width]. All
// copies share one cache.
class AttentionOperation : public Operation {
public:
    AttentionOperation() = default;
    AttentionOperation(const ov::OutputVector& arguments, const AttentionOperation& other)
        : Operation(arguments, other.owner), number(other.number), tokens_first(other.tokens_first), work(other.work) {}

    bool visit_attributes(ov::AttributeVisitor& visitor) override {
        visitor.on_attribute("cache", number);
        visitor.on_attribute("heads", work.heads.queries);
        visitor.on_attribute("kv_heads", work.heads.keys);
        visitor.on_attribute("width", work.heads.width);
        visitor.on_attribute("scale", work.scale);
        visitor.on_attribute("tokens_first", tokens_first);
        visitor.on_attribute("threads", work.threads);
        return Operation::visit_attributes(visitor);
    }

protected:
    void open() {
        if (work.team) return;
        work.team = shared_of<Team>(work.threads);
        work.cache = caches.at(number);
    }

    void expect(size_t input, const ov::element::Type& type, int64_t rank) const {
        OPENVINO_ASSERT(get_input_element_type(input) == type && get_input_partial_shape(input).rank().compatible(rank),
                        get_type_name(), ": an input of another type or rank");
    }

    void set_output() {
        const auto shape = get_input_partial_shape(0);
        const int64_t width = work.heads.queries * work.heads.width;
        set_output_type(0, ov::element::f32, {shape[0], shape[tokens_first[0] ? 1 : 2], width});
    }

    // Sets the shape of attention's output; false if it is empty.
    bool shape_output(ov::Tensor& output, const ov::Tensor& queries) const {
        const size_t tokens = tokens_of(queries, 0), width = work.heads.queries * work.heads.width;
        output.set_shape({queries.get_shape()[0], tokens, width});
        return output.get_size() > 0;
    }

    int64_t tokens_of(const ov::Tensor& tensor, size_t input) const {
        return tensor.get_shape()[tokens_first[input] ? 1 : 2];
    }

    Places places(const ov::Tensor& tensor, size_t input, int64_t count) const {
        const auto shape = tensor.get_shape();
        const bool first = tokens_first[input];
        const int64_t tokens = tokens_of(tensor, input), width = work.heads.width;
        OPENVINO_ASSERT(static_cast<int64_t>(shape[first ? 2 : 1]) == count && static_cast<int64_t>(shape[3]) == width,
                        get_type_name(), ": an input has other heads");
        return {static_cast<const float*>(tensor.data()), tokens * count * width, first ? count * width : width,
                first ? width : tokens * width};
    }

    // Each sequence continues one of the previous call's.
    void reorder(const ov::Tensor& order, int64_t sequences) const {
        const auto* parents = static_cast<const int32_t*>(order.data());
        for (int64_t i = 0; i < sequences; i++) {
            OPENVINO_ASSERT(parents[i] >= 0 && parents[i] < work.cache->count(), get_type_name(), ": no such sequence");
        }
        work.cache->reorder(parents, sequences);
    }

    static bool is_of(const ov::Tensor& tensor, int64_t sequences) {
        return static_cast<int64_t>(tensor.get_shape()[0]) == sequences;
    }

    static const int32_t* integers(const ov::Tensor& tensor) { return static_cast<const int32_t*>(tensor.data()); }

    int64_t number = 0;                 // the cache's
    std::vector<int64_t> tokens_first;  // one for each input that has heads
    AttentionTeam work;
};

}  // namespace lilliput
