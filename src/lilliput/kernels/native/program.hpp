// The serialized program of a chain, and how many numbers each of its steps touches.

#pragma once

#include <cstring>

#include "page.hpp"
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

// A serialized step.
struct Written {
    Kind kind;
    std::vector<int64_t> inputs, outputs;  // values' numbers
    std::vector<int64_t> numbers;          // other parameters, in the order of the structs below
};

inline float float_from(int64_t bits) {
    const auto low = static_cast<uint32_t>(bits);
    float value;
    std::memcpy(&value, &low, sizeof(value));
    return value;
}

struct ProductsNumbers {
    bool gated;
    std::vector<int64_t> weights;  // in the registry
    explicit ProductsNumbers(const std::vector<int64_t>& numbers)
        : gated(numbers.at(0) != 0), weights(numbers.begin() + 1, numbers.end()) {}
};

struct AttentionNumbers {
    int64_t cache;  // the cache's number
    Heads heads;
    float scale;
    int64_t window;
    int64_t distances;  // number of distances with a bias; 0: none, as for a source
    explicit AttentionNumbers(const std::vector<int64_t>& numbers)
        : cache(numbers.at(0)), heads{numbers.at(1), numbers.at(2), numbers.at(3)}, scale(float_from(numbers.at(4))),
          window(numbers.at(5)), distances(numbers.size() > 6 ? numbers[6] : 0) {}
    int64_t queries() const { return heads.queries * heads.width; }
    int64_t keys() const { return heads.keys * heads.width; }
};

struct NormNumbers {
    int64_t rows, width;  // width: a multiple of LANES
    float epsilon;
    explicit NormNumbers(const std::vector<int64_t>& numbers)
        : rows(numbers.at(0)), width(numbers.at(1)), epsilon(float_from(numbers.at(2))) {}
};

struct RotaryNumbers {
    int64_t heads, width, turned;  // turned: rotated dimensions, whose second half is paired with the first
    explicit RotaryNumbers(const std::vector<int64_t>& numbers)
        : heads(numbers.at(0)), width(numbers.at(1)), turned(numbers.at(2)) {}
};

struct MappedNumbers {
    int64_t count;  // how many numbers, a multiple of LANES
    int64_t how;    // parameter of the change; 0: none
    explicit MappedNumbers(const std::vector<int64_t>& numbers)
        : count(numbers.at(0)), how(numbers.size() > 1 ? numbers[1] : 0) {}
};

// How many numbers a step reads and writes of each of its values.
struct Touched {
    std::vector<int64_t> inputs, outputs;
};

// What a step of chain.hpp touches; `weights` are a product's.
inline Touched touched(const Written& step, const std::vector<Weights>& weights) {
    switch (step.kind) {
        case Kind::PRODUCTS: {
            std::vector<int64_t> rows;
            for (const auto& packed : weights) rows.push_back(packed->layout.rows);
            if (ProductsNumbers(step.numbers).gated) rows.resize(1);
            std::vector<int64_t> inputs{weights.front()->layout.columns};
            if (step.inputs.size() > 1) inputs.push_back(rows[0]);
            return {inputs, rows};
        }
        case Kind::ATTENTION: {
            const AttentionNumbers of(step.numbers);
            std::vector<int64_t> inputs{of.queries(), of.keys(), of.keys()};
            if (step.inputs.size() > 3) inputs.push_back(of.heads.queries * of.distances);
            return {inputs, {of.queries()}};
        }
        case Kind::SOURCE_ATTENTION: {
            const AttentionNumbers of(step.numbers);
            return {{of.queries()}, {of.queries()}};
        }
        case Kind::RMS: {
            const NormNumbers of(step.numbers);
            return {{of.rows * of.width, of.width}, {of.rows * of.width}};
        }
        case Kind::LAYER_NORM: {
            const NormNumbers of(step.numbers);
            return {{of.rows * of.width, of.width, of.width}, {of.rows * of.width}};
        }
        case Kind::ROTARY: {
            const RotaryNumbers of(step.numbers);
            return {{of.heads * of.width, of.turned, of.turned}, {of.heads * of.width}};
        }
        case Kind::MULTIPLY: {
            const int64_t count = MappedNumbers(step.numbers).count;
            return {{count, count}, {count}};
        }
        case Kind::GELU:
        case Kind::RELU:
        case Kind::SCALE: {
            const int64_t count = MappedNumbers(step.numbers).count;
            return {{count}, {count}};
        }
    }
    OPENVINO_THROW("Chain: no such step");
}

// Checks that no step reads or writes out of bounds or leaves part of a value unwritten: a graph may have been altered
// after our operations' shapes were inferred for it.
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
