// Four floats at a time on the baseline instruction set of each machine: SSE2, NEON, or plain C++.
//
// The build turns floating-point contraction off: a fused multiply-add in the embedding rounds some pixels into another
// simplex, and results would no longer equal pydensecrf's.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__) || defined(_M_X64)
#define DENSE_CRF_SSE2 1
#include <emmintrin.h>
#elif defined(__aarch64__) || defined(_M_ARM64)
#define DENSE_CRF_NEON 1
#include <arm_neon.h>
#endif

#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace dense_crf {

#if DENSE_CRF_SSE2

struct F4 {
    __m128 v;
};

inline F4 load(const float* p) { return {_mm_loadu_ps(p)}; }
inline void store(float* p, F4 a) { _mm_storeu_ps(p, a.v); }
inline F4 load_pair(const float* p) { return {_mm_castpd_ps(_mm_load_sd(reinterpret_cast<const double*>(p)))}; }
inline void store_pair(float* p, F4 a) { _mm_storel_pi(reinterpret_cast<__m64*>(p), a.v); }
inline F4 all(float x) { return {_mm_set1_ps(x)}; }
inline F4 operator+(F4 a, F4 b) { return {_mm_add_ps(a.v, b.v)}; }
inline F4 operator-(F4 a, F4 b) { return {_mm_sub_ps(a.v, b.v)}; }
inline F4 operator*(F4 a, F4 b) { return {_mm_mul_ps(a.v, b.v)}; }
inline F4 operator/(F4 a, F4 b) { return {_mm_div_ps(a.v, b.v)}; }
inline F4 larger(F4 a, F4 b) { return {_mm_max_ps(a.v, b.v)}; }
inline F4 smaller(F4 a, F4 b) { return {_mm_min_ps(a.v, b.v)}; }
// 1 where the comparison holds, else 0.
inline F4 less(F4 a, F4 b) { return {_mm_and_ps(_mm_cmplt_ps(a.v, b.v), _mm_set1_ps(1.0f))}; }
inline F4 greater_equal(F4 a, F4 b) { return {_mm_and_ps(_mm_cmpge_ps(a.v, b.v), _mm_set1_ps(1.0f))}; }
// To the nearest whole number, halves to even; |a| < 2^31.
inline F4 round_even(F4 a) { return {_mm_cvtepi32_ps(_mm_cvtps_epi32(a.v))}; }
// a * 2^n for whole n in -126..127.
inline F4 times_power_of_two(F4 a, F4 n) {
    const __m128i bits = _mm_slli_epi32(_mm_add_epi32(_mm_cvtps_epi32(n.v), _mm_set1_epi32(127)), 23);
    return {_mm_mul_ps(a.v, _mm_castsi128_ps(bits))};
}
// a = mantissa * 2^exponent with the mantissa in 1..2, for normal a > 0.
inline F4 split(F4 a, F4* exponent) {
    const __m128i bits = _mm_castps_si128(a.v);
    exponent->v = _mm_cvtepi32_ps(_mm_sub_epi32(_mm_srli_epi32(bits, 23), _mm_set1_epi32(127)));
    const __m128i mantissa = _mm_or_si128(_mm_and_si128(bits, _mm_set1_epi32(0x007fffff)), _mm_set1_epi32(0x3f800000));
    return {_mm_castsi128_ps(mantissa)};
}
inline void transpose(F4& a, F4& b, F4& c, F4& d) { _MM_TRANSPOSE4_PS(a.v, b.v, c.v, d.v); }
inline void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
inline void pause() { _mm_pause(); }

#elif DENSE_CRF_NEON

struct F4 {
    float32x4_t v;
};

inline F4 load(const float* p) { return {vld1q_f32(p)}; }
inline void store(float* p, F4 a) { vst1q_f32(p, a.v); }
inline F4 load_pair(const float* p) { return {vcombine_f32(vld1_f32(p), vdup_n_f32(0.0f))}; }
inline void store_pair(float* p, F4 a) { vst1_f32(p, vget_low_f32(a.v)); }
inline F4 all(float x) { return {vdupq_n_f32(x)}; }
inline F4 operator+(F4 a, F4 b) { return {vaddq_f32(a.v, b.v)}; }
inline F4 operator-(F4 a, F4 b) { return {vsubq_f32(a.v, b.v)}; }
inline F4 operator*(F4 a, F4 b) { return {vmulq_f32(a.v, b.v)}; }
inline F4 operator/(F4 a, F4 b) { return {vdivq_f32(a.v, b.v)}; }
inline F4 larger(F4 a, F4 b) { return {vmaxq_f32(a.v, b.v)}; }
inline F4 smaller(F4 a, F4 b) { return {vminq_f32(a.v, b.v)}; }
inline F4 one_where(uint32x4_t mask) {
    return {vreinterpretq_f32_u32(vandq_u32(mask, vreinterpretq_u32_f32(vdupq_n_f32(1.0f))))};
}
inline F4 less(F4 a, F4 b) { return one_where(vcltq_f32(a.v, b.v)); }
inline F4 greater_equal(F4 a, F4 b) { return one_where(vcgeq_f32(a.v, b.v)); }
inline F4 round_even(F4 a) { return {vrndnq_f32(a.v)}; }
inline F4 times_power_of_two(F4 a, F4 n) {
    const int32x4_t bits = vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n.v), vdupq_n_s32(127)), 23);
    return {vmulq_f32(a.v, vreinterpretq_f32_s32(bits))};
}
inline F4 split(F4 a, F4* exponent) {
    const uint32x4_t bits = vreinterpretq_u32_f32(a.v);
    exponent->v = vcvtq_f32_s32(vsubq_s32(vreinterpretq_s32_u32(vshrq_n_u32(bits, 23)), vdupq_n_s32(127)));
    const uint32x4_t mantissa = vorrq_u32(vandq_u32(bits, vdupq_n_u32(0x007fffff)), vdupq_n_u32(0x3f800000));
    return {vreinterpretq_f32_u32(mantissa)};
}
inline void transpose(F4& a, F4& b, F4& c, F4& d) {
    const float32x4x2_t ab = vtrnq_f32(a.v, b.v);
    const float32x4x2_t cd = vtrnq_f32(c.v, d.v);
    a.v = vcombine_f32(vget_low_f32(ab.val[0]), vget_low_f32(cd.val[0]));
    b.v = vcombine_f32(vget_low_f32(ab.val[1]), vget_low_f32(cd.val[1]));
    c.v = vcombine_f32(vget_high_f32(ab.val[0]), vget_high_f32(cd.val[0]));
    d.v = vcombine_f32(vget_high_f32(ab.val[1]), vget_high_f32(cd.val[1]));
}
#if defined(_MSC_VER)
inline void prefetch(const void* p) { __prefetch(p); }
inline void pause() { __yield(); }
#else
inline void prefetch(const void* p) { __builtin_prefetch(p); }
inline void pause() { __asm__ __volatile__("yield"); }
#endif

#else

struct F4 {
    float v[4];
};

template <class Operation>
inline F4 each(F4 a, F4 b, Operation operation) {
    F4 r;
    for (int i = 0; i < 4; ++i) r.v[i] = operation(a.v[i], b.v[i]);
    return r;
}

inline F4 load(const float* p) { return {{p[0], p[1], p[2], p[3]}}; }
inline void store(float* p, F4 a) { std::memcpy(p, a.v, sizeof a.v); }
inline F4 load_pair(const float* p) { return {{p[0], p[1], 0.0f, 0.0f}}; }
inline void store_pair(float* p, F4 a) { std::memcpy(p, a.v, 2 * sizeof(float)); }
inline F4 all(float x) { return {{x, x, x, x}}; }
inline F4 operator+(F4 a, F4 b) { return each(a, b, [](float x, float y) { return x + y; }); }
inline F4 operator-(F4 a, F4 b) { return each(a, b, [](float x, float y) { return x - y; }); }
inline F4 operator*(F4 a, F4 b) { return each(a, b, [](float x, float y) { return x * y; }); }
inline F4 operator/(F4 a, F4 b) { return each(a, b, [](float x, float y) { return x / y; }); }
inline F4 larger(F4 a, F4 b) { return each(a, b, [](float x, float y) { return x > y ? x : y; }); }
inline F4 smaller(F4 a, F4 b) { return each(a, b, [](float x, float y) { return x < y ? x : y; }); }
inline F4 less(F4 a, F4 b) { return each(a, b, [](float x, float y) { return x < y ? 1.0f : 0.0f; }); }
inline F4 greater_equal(F4 a, F4 b) { return each(a, b, [](float x, float y) { return x >= y ? 1.0f : 0.0f; }); }
inline F4 round_even(F4 a) { return each(a, a, [](float x, float) { return std::nearbyint(x); }); }
inline F4 times_power_of_two(F4 a, F4 n) {
    return each(a, n, [](float x, float e) { return std::ldexp(x, static_cast<int>(e)); });
}
inline F4 split(F4 a, F4* exponent) {
    F4 mantissa;
    for (int i = 0; i < 4; ++i) {
        int e = 0;
        mantissa.v[i] = 2.0f * std::frexp(a.v[i], &e);
        exponent->v[i] = static_cast<float>(e - 1);
    }
    return mantissa;
}
inline void transpose(F4& a, F4& b, F4& c, F4& d) {
    const F4 rows[4] = {a, b, c, d};
    F4* columns[4] = {&a, &b, &c, &d};
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) columns[i]->v[j] = rows[j].v[i];
}
inline void prefetch(const void*) {}
inline void pause() {}

#endif

// e^x for x <= 0, relative error about 1e-7; 0 below -87.
inline F4 exp_of_negative(F4 x) {
    const F4 lowest = all(-87.0f);
    const F4 kept = greater_equal(x, lowest);
    x = larger(x, lowest);
    const F4 n = round_even(x * all(1.44269504f));
    // ln 2 in two parts: n times the first is exact.
    const F4 r = x - n * all(0.693359375f) - n * all(-2.12194440e-4f);
    F4 sum = all(1.0f / 5040.0f);
    sum = sum * r + all(1.0f / 720.0f);
    sum = sum * r + all(1.0f / 120.0f);
    sum = sum * r + all(1.0f / 24.0f);
    sum = sum * r + all(1.0f / 6.0f);
    sum = sum * r + all(0.5f);
    sum = sum * r + all(1.0f);
    sum = sum * r + all(1.0f);
    return times_power_of_two(sum, n) * kept;
}

// ln x for normal x > 0, relative error about 1e-7.
inline F4 log_of_positive(F4 x) {
    F4 exponent;
    F4 m = split(x, &exponent);
    // The mantissa into sqrt(1/2)..sqrt(2), where the series of artanh is shortest.
    const F4 high = greater_equal(m, all(1.41421356f));
    m = m - m * all(0.5f) * high;
    exponent = exponent + high;
    const F4 s = (m - all(1.0f)) / (m + all(1.0f));
    const F4 s2 = s * s;
    F4 sum = all(2.0f / 9.0f);
    sum = sum * s2 + all(2.0f / 7.0f);
    sum = sum * s2 + all(2.0f / 5.0f);
    sum = sum * s2 + all(2.0f / 3.0f);
    sum = sum * s2 + all(2.0f);
    return exponent * all(0.693359375f) + (exponent * all(-2.12194440e-4f) + sum * s);
}

}  // namespace dense_crf
