// A chain's program as it is written down, and how many numbers each of its steps touches.

#pragma once

#include "products_team.hpp"

namespace lilliput {

enum class Kind : int64_t {
    PRODUCTS = 0,
    ATTENTION = 1,
    RMS = 2,
    ROTARY = 3,
    LAYER_NORM = 4,
    GELU = 5,
    RELU = 6,
    MULTIPLY = 7,
    SCALE = 8,
    SOURCE_ATTENTION = 9,
};

// A step as it is written down.
struct Written {
    Kind kind;
    std::vector<int64_t> inputs, outputs;  // values' numbers
    std::vector<int64_t> numbers;          // what else there is to say: see the steps below
};

// How many numbers a step reads and writes of each of its values.
struct Touched {
    std::vector<int64_t> inputs, outputs;
};

// Of a step, see chain.hpp; `weights` are a product's.
inline Touched touched(const Written& step, const std::vector<Weights>& weights) {
    const auto& numbers = step.numbers;
    switch (step.kind) {
        case Kind::PRODUCTS: {
            std::vector<int64_t> rows;
            for (const auto& packed : weights) rows.push_back(packed->layout.rows);
            if (numbers[0] != 0) rows.resize(1);
            std::vector<int64_t> inputs{weights.front()->layout.columns};
            if (step.inputs.size() > 1) inputs.push_back(rows[0]);
            return {inputs, rows};
        }
        case Kind::ATTENTION: {
            const int64_t queries = numbers[1] * numbers[3], keys = numbers[2] * numbers[3];
            std::vector<int64_t> inputs{queries, keys, keys};
            if (step.inputs.size() > 3) inputs.push_back(numbers[1] * numbers[6]);
            return {inputs, {queries}};
        }
        case Kind::SOURCE_ATTENTION: return {{numbers[1] * numbers[3]}, {numbers[1] * numbers[3]}};
        case Kind::RMS: return {{numbers[0] * numbers[1], numbers[1]}, {numbers[0] * numbers[1]}};
        case Kind::LAYER_NORM: return {{numbers[0] * numbers[1], numbers[1], numbers[1]}, {numbers[0] * numbers[1]}};
        case Kind::ROTARY: return {{numbers[0] * numbers[1], numbers[2], numbers[2]}, {numbers[0] * numbers[1]}};
        case Kind::MULTIPLY: return {{numbers[0], numbers[0]}, {numbers[0]}};
        case Kind::GELU:
        case Kind::RELU:
        case Kind::SCALE: return {{numbers[0]}, {numbers[0]}};
    }
    OPENVINO_THROW("Chain: no such step");
}

// A graph may have been altered after our operations' shapes were worked out for it: nothing is read or written beyond
// a value's end, or left as it was.
inline void expect(const std::vector<int64_t>& sizes, const Written& step, const Touched& touched) {
    const auto fit = [&](const std::vector<int64_t>& values, const std::vector<int64_t>& wanted) {
        OPENVINO_ASSERT(values.size() == wanted.size(), "Chain: a step has more or fewer values than it touches");
        for (size_t i = 0; i < values.size(); i++) {
            const auto size = sizes.at(values[i]);
            OPENVINO_ASSERT(size == wanted[i], "Chain: a value has ", size, " numbers where ", wanted[i], " are touched");
        }
    };
    fit(step.inputs, touched.inputs);
    fit(step.outputs, touched.outputs);
}

}  // namespace lilliput
