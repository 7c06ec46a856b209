// The activation between a gate and what it lets through: x / (1 + exp(-x)).

#pragma once

#include "lanes.hpp"

namespace lilliput {

// e to the power of -x, for x > -87; 0.6 millionths off at most. Beyond, e to the power of 87.
inline Floats exponential_of_minus(Floats x) {
    const Floats turns = smaller(multiply(x, all_lanes(-1.44269504f)), all_lanes(125.5f));  // powers of two
    const Floats bounded = larger(turns, all_lanes(-125.5f));
    const Sums whole = to_sums(bounded);
    const Floats part = subtract(bounded, to_floats(whole));  // from -1/2 to 1/2
    // Taylor's series of 2^part = exp(part * ln 2)
    Floats power = all_lanes(1.54035304e-4f);
    power = multiply_add(power, part, all_lanes(1.33335581e-3f));
    power = multiply_add(power, part, all_lanes(9.61812911e-3f));
    power = multiply_add(power, part, all_lanes(5.55041087e-2f));
    power = multiply_add(power, part, all_lanes(2.40226507e-1f));
    power = multiply_add(power, part, all_lanes(6.93147181e-1f));
    power = multiply_add(power, part, all_lanes(1));
    return times_power_of_two(power, whole);
}

inline Floats silu(Floats x) { return divide(x, add(all_lanes(1), exponential_of_minus(x))); }

}  // namespace lilliput
