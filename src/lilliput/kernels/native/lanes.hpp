// Sixteen lanes of 32 bits: the only file that knows the processor's instructions.
//
// Every product here is of unsigned codes and signed inputs, four of each to a lane, added to 32-bit integers: what
// x86's VNNI instructions do in one step. An instruction set is offered only where that sum cannot overflow.

#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>

namespace lilliput {

constexpr int LANES = 16;

inline int32_t four(const int8_t* inputs) {
    int32_t value;
    std::memcpy(&value, inputs, sizeof(value));
    return value;
}

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VNNI__)

constexpr const char* INSTRUCTIONS = "avx512-vnni";
constexpr int WIDEST_CODE = 8;
constexpr int TILE_INPUTS = 6;  // 6 x 4 sums, 4 codes and 1 input: 29 of 32 registers
constexpr int TILE_BLOCKS = 4;

using Codes = __m512i;
using Sums = __m512i;
using Floats = __m512;

inline Codes load_codes(const uint8_t* from) { return _mm512_loadu_si512(from); }
inline void store_codes(uint8_t* to, Codes codes) { _mm512_storeu_si512(to, codes); }
inline Codes low_codes(Codes both) { return _mm512_and_si512(both, _mm512_set1_epi8(15)); }
inline Codes high_codes(Codes both) { return low_codes(_mm512_srli_epi16(both, 4)); }
inline Sums no_sums() { return _mm512_setzero_si512(); }
inline Sums add(Sums a, Sums b) { return _mm512_add_epi32(a, b); }
inline Sums add_products(Sums sums, Codes codes, int32_t inputs) {
    const __m512i all = _mm512_set1_epi32(inputs);
    // The intrinsic's sums are moved about and spilled by compilers of 2022 (GCC 12): a third of the speed.
    asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(codes), "v"(all));
    return sums;
}
inline Floats to_floats(Sums sums) { return _mm512_cvtepi32_ps(sums); }
inline Floats all_lanes(float value) { return _mm512_set1_ps(value); }
inline Floats load_floats(const float* from) { return _mm512_loadu_ps(from); }
inline void store_floats(float* to, Floats values) { _mm512_storeu_ps(to, values); }
inline Floats load_halves(const uint16_t* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline Floats load_bytes(const uint8_t* from) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}
inline Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats multiply_add(Floats a, Floats b, Floats sum) { return _mm512_fmadd_ps(a, b, sum); }
inline Floats multiply_subtract_from(Floats a, Floats b, Floats sum) { return _mm512_fnmadd_ps(a, b, sum); }
inline Floats larger_magnitude(Floats a, Floats b) { return _mm512_max_ps(a, _mm512_abs_ps(b)); }
inline float largest_lane(Floats values) { return _mm512_reduce_max_ps(values); }
inline Sums to_sums(Floats values) { return _mm512_cvtps_epi32(values); }  // to nearest, halves to even
inline Floats smaller(Floats a, Floats b) { return _mm512_min_ps(a, b); }
inline Floats larger(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
inline Floats subtract(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
inline Floats divide(Floats a, Floats b) { return _mm512_div_ps(a, b); }
inline Floats times_power_of_two(Floats values, Sums powers) {
    return _mm512_scalef_ps(values, _mm512_cvtepi32_ps(powers));
}
inline int32_t total_lanes(Sums sums) { return _mm512_reduce_add_epi32(sums); }
inline void store_inputs(int8_t* to, Sums values) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(values));
}

#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

constexpr int TILE_INPUTS = 2;  // 2 x 2 sums and 2 codes of two registers each, and 1 input: 13 of 16 registers
constexpr int TILE_BLOCKS = 2;

struct Codes { __m256i a, b; };
struct Sums { __m256i a, b; };
struct Floats { __m256 a, b; };

#if defined(__AVXVNNI__)
constexpr const char* INSTRUCTIONS = "avx-vnni";
constexpr int WIDEST_CODE = 8;
inline __m256i add_fours(__m256i sums, __m256i codes, __m256i inputs) {
    return _mm256_dpbusd_avx_epi32(sums, codes, inputs);
}
#else
constexpr const char* INSTRUCTIONS = "avx2";
constexpr int WIDEST_CODE = 4;  // two products of 8-bit codes can exceed the 16 bits that AVX2 adds them in
inline __m256i add_fours(__m256i sums, __m256i codes, __m256i inputs) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_maddubs_epi16(codes, inputs), _mm256_set1_epi16(1)));
}
#endif

inline __m256i load_32(const uint8_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
inline __m256i low_32(__m256i both) { return _mm256_and_si256(both, _mm256_set1_epi8(15)); }

inline Codes load_codes(const uint8_t* from) { return {load_32(from), load_32(from + 32)}; }
inline void store_codes(uint8_t* to, Codes codes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), codes.a);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 32), codes.b);
}
inline Codes low_codes(Codes both) { return {low_32(both.a), low_32(both.b)}; }
inline Codes high_codes(Codes both) {
    return {low_32(_mm256_srli_epi16(both.a, 4)), low_32(_mm256_srli_epi16(both.b, 4))};
}
inline Sums no_sums() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
inline Sums add(Sums x, Sums y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
inline Sums add_products(Sums sums, Codes codes, int32_t inputs) {
    const __m256i all = _mm256_set1_epi32(inputs);
    return {add_fours(sums.a, codes.a, all), add_fours(sums.b, codes.b, all)};
}
inline Floats to_floats(Sums sums) { return {_mm256_cvtepi32_ps(sums.a), _mm256_cvtepi32_ps(sums.b)}; }
inline Floats all_lanes(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
inline Floats load_floats(const float* from) { return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }
inline void store_floats(float* to, Floats values) {
    _mm256_storeu_ps(to, values.a);
    _mm256_storeu_ps(to + 8, values.b);
}
inline __m256 halves_8(const uint16_t* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline __m256 bytes_8(const uint8_t* from) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
}
inline Floats load_halves(const uint16_t* from) { return {halves_8(from), halves_8(from + 8)}; }
inline Floats load_bytes(const uint8_t* from) { return {bytes_8(from), bytes_8(from + 8)}; }
inline Floats multiply(Floats x, Floats y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
inline Floats multiply_add(Floats x, Floats y, Floats sum) {
    return {_mm256_fmadd_ps(x.a, y.a, sum.a), _mm256_fmadd_ps(x.b, y.b, sum.b)};
}
inline Floats multiply_subtract_from(Floats x, Floats y, Floats sum) {
    return {_mm256_fnmadd_ps(x.a, y.a, sum.a), _mm256_fnmadd_ps(x.b, y.b, sum.b)};
}
inline Floats larger_magnitude(Floats x, Floats y) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_max_ps(x.a, _mm256_andnot_ps(sign, y.a)), _mm256_max_ps(x.b, _mm256_andnot_ps(sign, y.b))};
}
inline float largest_lane(Floats values) {
    float lanes[LANES];
    store_floats(lanes, values);
    return *std::max_element(lanes, lanes + LANES);
}
inline Sums to_sums(Floats values) { return {_mm256_cvtps_epi32(values.a), _mm256_cvtps_epi32(values.b)}; }
inline Floats smaller(Floats x, Floats y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
inline Floats larger(Floats x, Floats y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
inline Floats add(Floats x, Floats y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
inline Floats subtract(Floats x, Floats y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
inline Floats divide(Floats x, Floats y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
inline __m256 times_power_8(__m256 values, __m256i powers) {  // of normal numbers, to normal numbers
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(values), _mm256_slli_epi32(powers, 23)));
}
inline Floats times_power_of_two(Floats values, Sums powers) {
    return {times_power_8(values.a, powers.a), times_power_8(values.b, powers.b)};
}
inline int32_t total_lanes(Sums sums) {
    int32_t lanes[8];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), _mm256_add_epi32(sums.a, sums.b));
    return std::accumulate(lanes, lanes + 8, 0);
}
inline void store_inputs(int8_t* to, Sums values) {
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(values.a, values.b), 0xd8);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                     _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

#else
#error "lilliput's kernels need AVX2, or AVX-512 with VNNI."
#endif

}  // namespace lilliput
