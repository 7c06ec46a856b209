// Attention with its cache as an operation of OpenVINO's graphs: what a state and an attention over it are otherwise.

#pragma once

#include <memory>
#include <mutex>

#include "attention.hpp"
#include "failure.hpp"
#include "team.hpp"

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
        : Operation(arguments), number(other.number), heads(other.heads), window(other.window),
          tokens_first(other.tokens_first), threads(other.threads), team(other.team), cache(other.cache) {
        constructor_validate_and_infer_types();
    }

    void validate_and_infer_types() override {
        if (!team) {
            team = team_of(threads);
            cache = caches.at(number);
        }
        const auto shape = get_input_partial_shape(0);
        set_output_type(0, ov::element::f32, {shape[0], shape[tokens_first[0] ? 1 : 2], heads.queries * heads.width});
    }

    std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& arguments) const override {
        return std::make_shared<CachedAttention>(arguments, *this);
    }

    bool visit_attributes(ov::AttributeVisitor& visitor) override {
        visitor.on_attribute("cache", number);
        visitor.on_attribute("heads", heads.queries);
        visitor.on_attribute("kv_heads", heads.keys);
        visitor.on_attribute("width", heads.width);
        visitor.on_attribute("window", window);
        visitor.on_attribute("tokens_first", tokens_first);
        visitor.on_attribute("threads", threads);
        return true;
    }

private:
    void compute(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override {
        const auto shape = inputs[0].get_shape();
        const int64_t sequences = shape[0], tokens = shape[tokens_first[0] ? 1 : 2];
        outputs[0].set_shape({shape[0], static_cast<size_t>(tokens), static_cast<size_t>(heads.queries * heads.width)});
        if (sequences == 0 || tokens == 0) return;
        prepare(inputs, sequences, tokens);
        const auto* real = inputs.size() > 3 ? static_cast<const int32_t*>(inputs[3].data()) : nullptr;
        const Attention attention{heads, window, tokens, *cache, places(inputs[0], 0, heads.queries), real};
        write(places(inputs[1], 1, heads.keys), places(inputs[2], 2, heads.keys), attention.past());
        attend(attention, static_cast<float*>(outputs[0].data()));
    }

    Places places(const ov::Tensor& tensor, size_t which, int64_t count) const {
        const auto shape = tensor.get_shape();
        const bool first = tokens_first[which];
        const int64_t tokens = shape[first ? 1 : 2], width = heads.width;
        OPENVINO_ASSERT(static_cast<int64_t>(shape[first ? 2 : 1]) == count && static_cast<int64_t>(shape[3]) == width,
                        "CachedAttention: an input has other heads");
        return {static_cast<const float*>(tensor.data()), tokens * count * width, first ? count * width : width,
                first ? width : tokens * width};
    }

    // The cache as the new tokens find it, with room for them.
    void prepare(const ov::TensorVector& inputs, int64_t sequences, int64_t tokens) const {
        if (inputs.size() == 3) {
            OPENVINO_ASSERT(cache->count() == sequences, "CachedAttention: nothing was read yet of so many sequences");
        } else {
            const auto mask = inputs[3].get_shape(), order = inputs[4].get_shape();
            OPENVINO_ASSERT(static_cast<int64_t>(mask[0]) == sequences && static_cast<int64_t>(order[0]) == sequences,
                            "CachedAttention: the mask or the order is not of as many sequences");
            const int64_t past = static_cast<int64_t>(mask[1]) - tokens;
            if (past == 0) cache->restart(sequences);
            OPENVINO_ASSERT(past == cache->length, "CachedAttention: the mask is not of what was read");
            if (past > 0) reorder(static_cast<const int32_t*>(inputs[4].data()), sequences);
        }
        cache->extend(tokens, heads);
    }

    void reorder(const int32_t* parents, int64_t sequences) const {
        for (int64_t i = 0; i < sequences; i++) {
            OPENVINO_ASSERT(parents[i] >= 0 && parents[i] < cache->count(), "CachedAttention: no such sequence");
        }
        cache->reorder(parents, sequences);
    }

    // The new tokens to the cache, a page by one thread.
    void write(const Places& keys, const Places& values, int64_t past) const {
        const int64_t first = past / PAGE, pages = (cache->length - 1) / PAGE + 1 - first;
        team->run(cache->count() * pages, [&](int64_t task) {
            const int64_t sequence = task / pages, index = first + task % pages;
            Page& page = cache->page(sequence, index);
            const int64_t end = std::min(cache->length, (index + 1) * PAGE);
            for (int64_t token = std::max(past, index * PAGE); token < end; token++) {
                for (int64_t head = 0; head < heads.keys; head++) {
                    page.write(token % PAGE, head, keys.at(sequence, token - past, head),
                               values.at(sequence, token - past, head));
                }
            }
        });
    }

    // A task: some tokens of a sequence and the heads that share keys; where those are too few for all threads, some of
    // the pages, too.
    void attend(const Attention& attention, float* outputs) const {
        const int64_t sharing = heads.sharing(), tokens = attention.tokens;
        const int64_t step = std::max<int64_t>(1, ROWS_A_TASK / sharing), steps = (tokens + step - 1) / step;
        const int64_t whole = cache->count() * heads.keys * steps;
        const int64_t spans = std::min((threads + whole - 1) / whole, attention.end_page(tokens - 1));
        std::vector<std::unique_ptr<Gathered>> parts(whole * spans);
        const auto first_of = [&](int64_t task) { return (steps - 1 - task % steps) * step; };  // the longest first
        const auto last_of = [&](int64_t task) { return std::min(tokens, first_of(task) + step); };
        const auto write_out = [&](int64_t task) {
            const int64_t head = task / steps % heads.keys, sequence = task / steps / heads.keys;
            const Gathered& all = combined(&parts[task * spans], spans);
            for (int64_t row = 0; row < (last_of(task) - first_of(task)) * sharing; row++) {
                const int64_t token = first_of(task) + row / sharing, query = head * sharing + row % sharing;
                float* to = outputs + ((sequence * tokens + token) * heads.queries + query) * heads.width;
                const Floats share = all_lanes(1.0f / all.weights[row]);
                for (int64_t i = 0; i < heads.width; i += LANES) {
                    store_floats(to + i, multiply(load_floats(all.values.data() + row * heads.width + i), share));
                }
            }
        };
        team->run(whole * spans, [&](int64_t part) {
            const int64_t task = part / spans, span = part % spans;
            const int64_t head = task / steps % heads.keys, sequence = task / steps / heads.keys;
            const int64_t first = first_of(task), last = last_of(task);
            const int64_t begin = attention.first_page(first), end = attention.end_page(last - 1);
            const int64_t pages = (end - begin + spans - 1) / spans;
            const int64_t from = begin + span * pages, to = std::min(end, from + pages);
            parts[part] = std::make_unique<Gathered>((last - first) * sharing, heads.width);
            attention.gather(sequence, head, first, last, from, to, *parts[part]);
            if (spans == 1) {
                write_out(task);
                parts[part].reset();
            }
        });
        for (int64_t task = 0; spans > 1 && task < whole; task++) write_out(task);
    }

    // What several spans gathered, in the first one's place.
    const Gathered& combined(std::unique_ptr<Gathered>* parts, int64_t count) const {
        Gathered& all = *parts[0];
        const int64_t rows = all.largest.size(), width = heads.width;
        for (int64_t i = 1; i < count; i++) {
            const Gathered& other = *parts[i];
            for (int64_t row = 0; row < rows; row++) {
                const float largest = std::max(all.largest[row], other.largest[row]);
                const float own = std::exp(all.largest[row] - largest), others = std::exp(other.largest[row] - largest);
                all.largest[row] = largest;
                all.weights[row] = all.weights[row] * own + other.weights[row] * others;
                for (int64_t k = row * width; k < (row + 1) * width; k++) {
                    all.values[k] = all.values[k] * own + other.values[k] * others;
                }
            }
        }
        return all;
    }

    int64_t number = 0;  // of the cache
    Heads heads{};
    int64_t window = 0;
    std::vector<int64_t> tokens_first;  // of queries, keys and values
    int64_t threads = 1;
    std::shared_ptr<Team> team;
    std::shared_ptr<Cache> cache;  // that of all copies
};

}  // namespace lilliput
