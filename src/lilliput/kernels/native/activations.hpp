// Activations: SiLU, x / (1 + exp(-x)), for gates; and GELU, x times the normal distribution's cumulative function
// ("Gaussian Error Linear Units (GELUs)", 2016), exact or by tanh.

#pragma once

#include "lanes.hpp"

namespace lilliput {

// exp(-x), with an error of at most 0.6 millionths for |x| < 10 (2 for |x| < 30); clamped to 2^-125.5 to 2^125.5.
inline Floats exponential_of_minus(Floats x) {
    const Floats turns = smaller(all_lanes(125.5f), multiply(x, all_lanes(-1.44269504f)));  // powers of two
    const Floats bounded = larger(all_lanes(-125.5f), turns);
    const Sums whole = to_sums(bounded);
    const Floats part = subtract(bounded, to_floats(whole));  // from -1/2 to 1/2
    // Taylor series of 2^part = exp(part * ln 2)
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

// x (1 + tanh(y)) / 2 with y = sqrt(2 / pi) (x + 0.044715 x^3), that is x / (1 + exp(-2 y)).
inline Floats gelu_by_tanh(Floats x) {
    const Floats cube = multiply(multiply(x, x), x);
    const Floats twice = multiply(multiply_add(cube, all_lanes(0.044715f), x), all_lanes(1.59576912f));
    return divide(x, add(all_lanes(1), exponential_of_minus(twice)));
}

// x (1 + erf(x / sqrt(2))) / 2, with an error of erf of at most 0.15 millionths (Abramowitz and Stegun, 7.1.26).
inline Floats gelu(Floats x) {
    const Floats size = larger(x, subtract(all_lanes(0), x));
    const Floats z = multiply(size, all_lanes(0.707106781f));
    const Floats t = divide(all_lanes(1), multiply_add(z, all_lanes(0.3275911f), all_lanes(1)));
    Floats sum = all_lanes(1.061405429f);
    sum = multiply_add(sum, t, all_lanes(-1.453152027f));
    sum = multiply_add(sum, t, all_lanes(1.421413741f));
    sum = multiply_add(sum, t, all_lanes(-0.284496736f));
    sum = multiply_add(sum, t, all_lanes(0.254829592f));
    const Floats beyond = multiply(multiply(sum, t), exponential_of_minus(multiply(z, z)));  // 1 - erf
    return multiply_subtract_from(multiply(size, all_lanes(0.5f)), beyond, larger(x, all_lanes(0)));
}

}  // namespace lilliput
