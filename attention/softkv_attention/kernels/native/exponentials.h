/* exp and log of float64 with errors below one unit in the last place, and log1p below one and a half, without a C library:
 * so the digits of a weight do not depend on the system. */
#pragma once
#include "lanes.h"

#define INFINITE __builtin_inf()

static const double LN2_HIGH = 0x1.62e42fefa38p-1, LN2_LOW = 0x1.ef35793c7673p-45; /* the first has 42 bits */

INLINE double fma_f64(double a, double b, double c) { return __builtin_elementwise_fma(a, b, c); }
INLINE double magnitude(double x) { return __builtin_elementwise_abs(x); }

/* 2^n as a float64, for -1022 <= n <= 1023. */
INLINE double power_of_two(int64_t n) {
    const int64_t bits = (n + 1023) << 52;
    return LOAD(double, &bits);
}

/* The coefficients of Taylor's series of exp from x^13 down to x^2. */
static const double INVERSE_FACTORIALS[] = {0x1.6124613a86d09p-33, 0x1.1eed8eff8d898p-29, 0x1.ae64567f544e4p-26,
                                            0x1.27e4fb7789f5cp-22, 0x1.71de3a556c734p-19, 0x1.a01a01a01a01ap-16,
                                            0x1.a01a01a01a01ap-13, 0x1.6c16c16c16c17p-10, 0x1.1111111111111p-7,
                                            0x1.5555555555555p-5,  0x1.5555555555555p-3,  0.5};

/* exp(x): 2^n · exp(r) with |r| <= ln 2 / 2, by Taylor's series of 13 terms. */
INLINE double exponential_of(double x) {
    if (!(x > -746.0)) return x != x ? x : 0.0;
    if (x > 710.0) return INFINITE;
    const double n = __builtin_elementwise_rint(x * 0x1.71547652b82fep+0);
    const double r = fma_f64(-n, LN2_LOW, fma_f64(-n, LN2_HIGH, x));
    double p = INVERSE_FACTORIALS[0];
    UNROLLED for (int i = 1; i < 12; i++) p = fma_f64(p, r, INVERSE_FACTORIALS[i]);
    const double value = 1.0 + fma_f64(p * r, r, r);
    const int64_t whole = (int64_t)n, half = whole / 2; /* in two factors, since 2^n may be subnormal */
    return value * power_of_two(half) * power_of_two(whole - half);
}

static const double VANISHING_LOGIT = -746.0; /* exp is 0 from here down */

/* exp of eight numbers from VANISHING_LOGIT to 0, with the same digits. */
INLINE f64x8 exponentials_of(f64x8 x) {
    typedef int64_t integers __attribute__((ext_vector_type(8)));
    const f64x8 n = __builtin_elementwise_rint(x * 0x1.71547652b82fep+0);
    const f64x8 r = __builtin_elementwise_fma(-n, (f64x8)LN2_LOW, __builtin_elementwise_fma(-n, (f64x8)LN2_HIGH, x));
    f64x8 p = INVERSE_FACTORIALS[0];
    UNROLLED for (int i = 1; i < 12; i++) p = __builtin_elementwise_fma(p, r, (f64x8)INVERSE_FACTORIALS[i]);
    const f64x8 value = 1.0 + __builtin_elementwise_fma(p * r, r, r), half = __builtin_elementwise_rint(n * 0.5);
    /* 1.5 · 2^52 + h ends in the bits of the integer h, which become an exponent: few processors convert to int64. */
    const f64x8 one = half + 0x1.8p52, other = (n - half) + 0x1.8p52;
    return value * (f64x8)(((integers)one + 1023) << 52) * (f64x8)(((integers)other + 1023) << 52);
}

/* ln x for x > 0: k · ln 2 + ln(1 + f), 1 + f from √½ to √2, and ln(1 + f) = 2·atanh(s), s = f / (2 + f). */
INLINE double logarithm_of(double x) {
    if (!(x > 0.0)) return x == 0.0 ? -INFINITE : __builtin_nan("");
    if (x == INFINITE) return x;
    int64_t k = 0;
    if (x < 0x1p-1022) x *= 0x1p54, k = -54;
    int64_t bits = LOAD(int64_t, &x);
    k += (bits >> 52) - 1023;
    bits = (bits & 0xFFFFFFFFFFFFF) | (int64_t)1023 << 52;
    double m = LOAD(double, &bits);
    if (m > 0x1.6a09e667f3bcdp+0) m *= 0.5, k++;
    const double f = m - 1.0, s = f / (2.0 + f), z = s * s;
    double p = 1.0 / 23;
    UNROLLED for (int odd = 21; odd >= 3; odd -= 2) p = fma_f64(p, z, 1.0 / odd);
    const double rest = fma_f64(s, f - 2.0 * z * p, -(double)k * LN2_LOW);
    return fma_f64((double)k, LN2_HIGH, f - rest);
}

/* ln(1 + x) for x >= 0. */
INLINE double logarithm_of_one_plus(double x) {
    const double whole = 1.0 + x;
    return logarithm_of(whole) + (x - (whole - 1.0)) / whole;
}
