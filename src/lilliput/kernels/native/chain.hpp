// The steps by which a decoder processes one token: products, attention and the small operations between them. The
// engine would run these as some ten operations per layer, each with overhead of its own.

#pragma once

#include <cmath>
#include <functional>

#include "attention_team.hpp"
#include "program.hpp"

namespace lilliput {

using Values = std::vector<float*>;  // indexed by number
using Step = std::function<void(const Values&)>;

// Inputs: what is multiplied; optionally, what is added to the output.
inline Step products_step(const Written& step, const std::vector<Weights>& weights, const std::shared_ptr<Team>& team,
                          const std::vector<Beginning>& next) {
    return [=, gated = ProductsNumbers(step.numbers).gated](const Values& values) {
        std::vector<float*> outputs;
        for (const int64_t number : step.outputs) outputs.push_back(values[number]);
        const float* addends = step.inputs.size() > 1 ? values[step.inputs[1]] : nullptr;
        multiply_all(*team, Work{weights, gated, 1, values[step.inputs[0]], addends, outputs.data(), &next});
    };
}

inline AttentionTeam attention_team(const AttentionNumbers& of, const std::shared_ptr<Team>& team, int64_t threads) {
    return {of.heads, of.scale, of.window, threads, team, caches.at(of.cache)};
}

// Inputs: query, key, value; optionally, a relative position bias.
inline Step attention_step(const Written& step, const std::shared_ptr<Team>& team, int64_t threads) {
    const AttentionNumbers of(step.numbers);
    return [=, work = attention_team(of, team, threads)](const Values& values) {
        OPENVINO_ASSERT(work.cache->count() == 1, "Chain: nothing was read yet of one sequence");
        work.cache->extend(1, work.heads);
        const auto places = [&](size_t i) { return Places{values[step.inputs[i]], 0, 0, work.heads.width}; };
        const bool biased = step.inputs.size() > 3;
        const Bias bias = biased ? Bias{values[step.inputs[3]], of.distances / 2} : Bias{};
        work.run(places(0), {places(1), places(2)}, 1, nullptr, bias, values[step.outputs[0]]);
    };
}

// Input: query.
inline Step source_attention_step(const Written& step, const std::shared_ptr<Team>& team, int64_t threads) {
    return [=, work = attention_team(AttentionNumbers(step.numbers), team, threads)](const Values& values) {
        OPENVINO_ASSERT(work.cache->count() == 1 && work.cache->has_for(work.heads),
                        "Chain: no source was read yet of one sequence");
        work.run_over_source({values[step.inputs[0]], 0, 0, work.heads.width}, 1, nullptr, values[step.outputs[0]]);
    };
}

// Inputs: numbers, and one row of weights. "Root Mean Square Layer Normalization", 2019.
inline Step rms_step(const Written& step) {
    return [=, of = NormNumbers(step.numbers)](const Values& values) {
        const float *from = values[step.inputs[0]], *weights = values[step.inputs[1]];
        float* to = values[step.outputs[0]];
        for (int64_t row = 0; row < of.rows; row++, from += of.width, to += of.width) {
            Floats squares = all_lanes(0);
            for (int64_t i = 0; i < of.width; i += LANES) {
                const Floats numbers = load_floats(from + i);
                squares = multiply_add(numbers, numbers, squares);
            }
            const float mean = total_values(squares) / static_cast<float>(of.width);
            const Floats share = all_lanes(1.0f / std::sqrt(mean + of.epsilon));
            for (int64_t i = 0; i < of.width; i += LANES) {
                store_floats(to + i, multiply(multiply(load_floats(from + i), share), load_floats(weights + i)));
            }
        }
    };
}

// Inputs: numbers, and one row each of weights and biases. "Layer Normalization", 2016.
inline Step layer_norm_step(const Written& step) {
    return [=, of = NormNumbers(step.numbers)](const Values& values) {
        const float *from = values[step.inputs[0]], *weights = values[step.inputs[1]], *biases = values[step.inputs[2]];
        float* to = values[step.outputs[0]];
        for (int64_t row = 0; row < of.rows; row++, from += of.width, to += of.width) {
            Floats sums = all_lanes(0), squares = all_lanes(0);
            for (int64_t i = 0; i < of.width; i += LANES) sums = add(sums, load_floats(from + i));
            const Floats mean = all_lanes(total_values(sums) / static_cast<float>(of.width));
            for (int64_t i = 0; i < of.width; i += LANES) {
                const Floats off = subtract(load_floats(from + i), mean);
                squares = multiply_add(off, off, squares);
            }
            const float variance = total_values(squares) / static_cast<float>(of.width);
            const Floats share = all_lanes(1.0f / std::sqrt(variance + of.epsilon));
            for (int64_t i = 0; i < of.width; i += LANES) {
                const Floats normal = multiply(subtract(load_floats(from + i), mean), share);
                store_floats(to + i, multiply_add(normal, load_floats(weights + i), load_floats(biases + i)));
            }
        }
    };
}

// Applies `change` to each number, or pair of numbers.
template <typename Change>
Step mapped(const Written& step, const Change& change) {
    return [=, count = MappedNumbers(step.numbers).count, last = step.inputs.size() - 1](const Values& values) {
        const float *from = values[step.inputs[0]], *other = values[step.inputs[last]];
        float* to = values[step.outputs[0]];
        for (int64_t i = 0; i < count; i += LANES) {
            store_floats(to + i, change(load_floats(from + i), load_floats(other + i)));
        }
    };
}

// How: 1 for the tanh approximation.
inline Step gelu_step(const Written& step) {
    const bool by_tanh = MappedNumbers(step.numbers).how != 0;
    return mapped(step, [=](Floats numbers, Floats) { return by_tanh ? gelu_by_tanh(numbers) : gelu(numbers); });
}

inline Step relu_step(const Written& step) {
    return mapped(step, [](Floats numbers, Floats) { return larger(all_lanes(0), numbers); });
}

inline Step multiply_step(const Written& step) {
    return mapped(step, [](Floats numbers, Floats others) { return multiply(numbers, others); });
}

// How: the bits of the factor.
inline Step scale_step(const Written& step) {
    const float scale = float_from(MappedNumbers(step.numbers).how);
    return mapped(step, [=](Floats numbers, Floats) { return multiply(numbers, all_lanes(scale)); });
}

// Inputs: heads; cosines and sines, one for each rotated dimension. "RoFormer: Enhanced Transformer with Rotary
// Position Embedding", 2021.
inline Step rotary_step(const Written& step) {
    const RotaryNumbers of(step.numbers);
    return [=, half = of.turned / 2](const Values& values) {
        const float *from = values[step.inputs[0]], *cosines = values[step.inputs[1]], *sines = values[step.inputs[2]];
        float* to = values[step.outputs[0]];
        for (int64_t head = 0; head < of.heads; head++, from += of.width, to += of.width) {
            for (int64_t i = 0; i < half; i++) {
                to[i] = from[i] * cosines[i] - from[half + i] * sines[i];
                to[half + i] = from[half + i] * cosines[half + i] + from[i] * sines[half + i];
            }
            std::copy(from + of.turned, from + of.width, to + of.turned);
        }
    };
}

inline Step other_step(const Written& step, const std::shared_ptr<Team>& team, int64_t threads) {
    switch (step.kind) {
        case Kind::ATTENTION: return attention_step(step, team, threads);
        case Kind::SOURCE_ATTENTION: return source_attention_step(step, team, threads);
        case Kind::RMS: return rms_step(step);
        case Kind::ROTARY: return rotary_step(step);
        case Kind::LAYER_NORM: return layer_norm_step(step);
        case Kind::GELU: return gelu_step(step);
        case Kind::RELU: return relu_step(step);
        case Kind::MULTIPLY: return multiply_step(step);
        case Kind::SCALE: return scale_step(step);
        default: OPENVINO_THROW("Chain: no such step");
    }
}

// A program's steps, over values of these sizes. Each product knows where the next one begins; the last one is followed
// by the first, of the next token.
inline std::vector<Step> steps_of(const std::vector<Written>& written, const std::vector<int64_t>& sizes,
                                  const std::shared_ptr<Team>& team, int64_t threads) {
    std::vector<std::vector<Weights>> weights(written.size());
    std::vector<Beginning> next;
    const auto begin = [&](size_t i) {
        return beginnings(weights[i], ProductsNumbers(written[i].numbers).gated, team->size());
    };
    for (size_t i = 0; i < written.size(); i++) {
        if (written[i].kind != Kind::PRODUCTS) continue;
        for (const int64_t k : ProductsNumbers(written[i].numbers).weights) weights[i].push_back(registry.at(k));
        OPENVINO_ASSERT(!weights[i].empty(), "Chain: a product without weights");
        if (next.empty()) next = begin(i);
    }
    for (size_t i = 0; i < written.size(); i++) expect(sizes, written[i], touched(written[i], weights[i]));
    std::vector<Step> steps(written.size());
    for (size_t i = written.size(); i-- > 0;) {
        if (written[i].kind == Kind::PRODUCTS) {
            steps[i] = products_step(written[i], weights[i], team, next);
            next = begin(i);
        } else {
            steps[i] = other_step(written[i], team, threads);
        }
    }
    return steps;
}

}  // namespace lilliput
