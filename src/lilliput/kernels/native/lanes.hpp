// Lanes of 32 bits: the only file, apart from amx.hpp, that uses the processor's instructions directly.
//
// If either operand of `smaller` or `larger` is NaN, the result is the second operand. To propagate NaN, pass what may
// be NaN second.
//
// Every product here multiplies codes by signed inputs, four of each per lane, and adds to 32-bit integers: what x86's
// VNNI instructions do in one step, with unsigned codes. AVX2 adds two products in 16 bits. Those of signed 8-bit codes
// never overflow (2 x 128 x 127), and those of 4-bit codes not even eight times over (16 x 15 x 127): `Partial` sums
// accumulate that many steps, and are then added to the 32-bit ones.

#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <type_traits>

namespace lilliput {

// Calls `body` with `count` as a compile-time constant from 1 to MOST; larger counts become MOST.
template <int MOST, typename Body>
inline void with_count(int64_t count, const Body& body) {
    if constexpr (MOST > 1) {
        if (count < MOST) return with_count<MOST - 1>(count, body);
    }
    body(std::integral_constant<int, MOST>());
}

inline uint16_t half_of(float value) { return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT); }
inline float float_of(uint16_t half) { return _cvtsh_ss(half); }

// Prefetches a cache line. GCC treats a function of only __builtin_prefetch as one without effect, and omits its calls.
inline void prefetch_line(const void* at) { asm volatile("prefetcht0 %0" : : "m"(*static_cast<const char*>(at))); }

// The same for what is read later: into the L2 cache only.
inline void prefetch_line_far(const void* at) {
    asm volatile("prefetcht1 %0" : : "m"(*static_cast<const char*>(at)));
}

inline float as_float(int32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
}

// Pauses in a spin loop.
inline void pause() { _mm_pause(); }

inline int32_t four(const int8_t* inputs) {
    int32_t value;
    std::memcpy(&value, inputs, sizeof(value));
    return value;
}

inline int32_t two_of(const int16_t* numbers) {
    int32_t value;
    std::memcpy(&value, numbers, sizeof(value));
    return value;
}

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VNNI__)

constexpr int LANES = 16;
constexpr const char* INSTRUCTIONS = "avx512-vnni";
constexpr bool SIGNED_BYTES = false;  // whether 8-bit codes are signed
template <int BITS>
constexpr int TILE_INPUTS = 6;  // 6 x 4 sums, 4 codes and 1 input: 29 of 32 registers
constexpr int TILE_BLOCKS = 4;

using Codes = __m512i;
using Sums = __m512i;
template <int BITS>
using Partial = Sums;
using Floats = __m512;

inline Codes load_codes(const uint8_t* from) { return _mm512_loadu_si512(from); }
inline void store_codes(uint8_t* to, Codes codes) { _mm512_storeu_si512(to, codes); }
inline Codes low_codes(Codes both) { return _mm512_and_si512(both, _mm512_set1_epi8(15)); }
inline Codes high_codes(Codes both) { return low_codes(_mm512_srli_epi16(both, 4)); }
inline Sums no_sums() { return _mm512_setzero_si512(); }
inline Sums add(Sums a, Sums b) { return _mm512_add_epi32(a, b); }
template <int BITS>
inline Sums add_products(Sums sums, Codes codes, int32_t inputs) {
    const __m512i all = _mm512_set1_epi32(inputs);
    // With the intrinsic, compilers of 2022 (GCC 12) move and spill the sums: a third of the speed.
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

using Pairs = __m512i;  // of 16-bit numbers
inline Pairs load_pairs(const int8_t* from) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline Floats firsts(Pairs pairs) { return _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(pairs, 16), 16)); }
inline Floats seconds(Pairs pairs) { return _mm512_cvtepi32_ps(_mm512_srai_epi32(pairs, 16)); }
inline Sums add_pairs(Sums sums, Pairs pairs, int32_t two) {
    const __m512i all = _mm512_set1_epi32(two);
    asm("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(pairs), "v"(all));
    return sums;
}
inline void store_shorts(int16_t* to, Sums values) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtsepi32_epi16(values));
}
inline Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats multiply_add(Floats a, Floats b, Floats sum) { return _mm512_fmadd_ps(a, b, sum); }
inline Floats multiply_subtract_from(Floats a, Floats b, Floats sum) { return _mm512_fnmadd_ps(a, b, sum); }
inline Sums magnitudes(Floats values) { return _mm512_castps_si512(_mm512_abs_ps(values)); }
inline Sums larger(Sums a, Sums b) { return _mm512_max_epi32(a, b); }
inline int32_t largest_lane(Sums values) { return _mm512_reduce_max_epi32(values); }
inline float largest_lane(Floats values) { return _mm512_reduce_max_ps(values); }
inline float total_values(Floats values) { return _mm512_reduce_add_ps(values); }
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

constexpr int LANES = 8;
constexpr int TILE_BLOCKS = 2;

using Codes = __m256i;
using Sums = __m256i;
using Floats = __m256;

inline Sums no_sums() { return _mm256_setzero_si256(); }
inline Sums add(Sums a, Sums b) { return _mm256_add_epi32(a, b); }

#if defined(__AVXVNNI__)

constexpr const char* INSTRUCTIONS = "avx-vnni";
constexpr bool SIGNED_BYTES = false;
template <int BITS>
constexpr int TILE_INPUTS = 6;  // 6 x 2 sums, 2 codes and 1 input: 15 of 16 registers
template <int BITS>
using Partial = Sums;

template <int BITS>
inline Sums add_products(Sums sums, Codes codes, int32_t inputs) {
    return _mm256_dpbusd_avx_epi32(sums, codes, _mm256_set1_epi32(inputs));
}
inline Sums add_pairs(Sums sums, __m256i pairs, int32_t two) {
    return _mm256_dpwssd_avx_epi32(sums, pairs, _mm256_set1_epi32(two));
}

#else

constexpr const char* INSTRUCTIONS = "avx2";
constexpr bool SIGNED_BYTES = true;
template <int BITS>
constexpr int TILE_INPUTS = BITS == 4 ? 6 : 4;  // 8-bit codes need registers for their magnitudes

struct ShortSums { __m256i pairs; };  // of 16 bits

template <int BITS>
struct PartialOf { using Type = Sums; };
template <>
struct PartialOf<4> { using Type = ShortSums; };
template <int BITS>
using Partial = typename PartialOf<BITS>::Type;

inline Sums widened(ShortSums sums) { return _mm256_madd_epi16(sums.pairs, _mm256_set1_epi16(1)); }

template <int BITS>
inline Partial<BITS> add_products(Partial<BITS> sums, Codes codes, int32_t inputs) {
    const __m256i all = _mm256_set1_epi32(inputs);
    if constexpr (BITS == 4) {
        __m256i products;  // assembly as above: otherwise the compiler keeps a tile's sums in memory
        asm("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(sums.pairs), "=&x"(products) : "x"(codes), "x"(all));
        return sums;
    } else {  // magnitudes, times the inputs with the codes' signs
        return add(sums, widened({_mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(all, codes))}));
    }
}
inline Sums add_pairs(Sums sums, __m256i pairs, int32_t two) {
    return add(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi32(two)));
}

#endif

inline Codes load_codes(const uint8_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
inline void store_codes(uint8_t* to, Codes codes) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), codes); }
inline Codes low_codes(Codes both) { return _mm256_and_si256(both, _mm256_set1_epi8(15)); }
inline Codes high_codes(Codes both) { return low_codes(_mm256_srli_epi16(both, 4)); }
inline Floats to_floats(Sums sums) { return _mm256_cvtepi32_ps(sums); }
inline Floats all_lanes(float value) { return _mm256_set1_ps(value); }
inline Floats load_floats(const float* from) { return _mm256_loadu_ps(from); }
inline void store_floats(float* to, Floats values) { _mm256_storeu_ps(to, values); }
inline Floats load_halves(const uint16_t* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline Floats load_bytes(const uint8_t* from) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    return _mm256_cvtepi32_ps(SIGNED_BYTES ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes));
}

using Pairs = __m256i;
inline Pairs load_pairs(const int8_t* from) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline Floats firsts(Pairs pairs) { return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(pairs, 16), 16)); }
inline Floats seconds(Pairs pairs) { return _mm256_cvtepi32_ps(_mm256_srai_epi32(pairs, 16)); }
inline void store_shorts(int16_t* to, Sums values) {
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), words);
}

inline Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
inline Floats multiply_add(Floats a, Floats b, Floats sum) { return _mm256_fmadd_ps(a, b, sum); }
inline Floats multiply_subtract_from(Floats a, Floats b, Floats sum) { return _mm256_fnmadd_ps(a, b, sum); }
inline Sums magnitudes(Floats values) {
    return _mm256_castps_si256(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), values));
}
inline Sums larger(Sums a, Sums b) { return _mm256_max_epi32(a, b); }
inline int32_t largest_lane(Sums values) {
    int32_t lanes[LANES];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), values);
    return *std::max_element(lanes, lanes + LANES);
}
inline float largest_lane(Floats values) {
    float lanes[LANES];
    store_floats(lanes, values);
    return *std::max_element(lanes, lanes + LANES);
}
inline float total_values(Floats values) {
    float lanes[LANES];
    store_floats(lanes, values);
    return std::accumulate(lanes, lanes + LANES, 0.0f);
}
inline Sums to_sums(Floats values) { return _mm256_cvtps_epi32(values); }
inline Floats smaller(Floats a, Floats b) { return _mm256_min_ps(a, b); }
inline Floats larger(Floats a, Floats b) { return _mm256_max_ps(a, b); }
inline Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
inline Floats subtract(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
inline Floats divide(Floats a, Floats b) { return _mm256_div_ps(a, b); }
inline Floats times_power_of_two(Floats values, Sums powers) {  // of normal numbers, to normal numbers
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(values), _mm256_slli_epi32(powers, 23)));
}
inline int32_t total_lanes(Sums sums) {
    int32_t lanes[LANES];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), sums);
    return std::accumulate(lanes, lanes + LANES, 0);
}
inline void store_inputs(int8_t* to, Sums values) {
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(words, words));
}

#else
#error "lilliput's kernels need AVX2, or AVX-512 with VNNI."
#endif

// The largest magnitude of `count` values, a multiple of LANES. As integers, magnitudes keep their order, NaN last.
inline float largest_magnitude(const float* values, int64_t count) {
    Sums largest = no_sums();
    for (int64_t i = 0; i < count; i += LANES) largest = larger(largest, magnitudes(load_floats(values + i)));
    return as_float(largest_lane(largest));
}

inline Sums widened(Sums sums) { return sums; }  // already 32 bits wide

// Columns whose products fit into one partial sum: a multiple of four.
template <int BITS>
constexpr int64_t COLUMNS_A_PARTIAL = std::is_same_v<Partial<BITS>, Sums> ? INT64_MAX : 8 * 4;

}  // namespace lilliput
