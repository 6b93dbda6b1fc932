/* Vectors of 16 numbers, by clang's vector extensions: an operator works on all lanes. Where a register is narrower than
 * 16 numbers, the compiler uses several.
 *
 * The build sets -ffp-contract=off, so a product and a sum are fused exactly where `fma_f32x16` is written. Every sum
 * has its order written too. So the digits of a result depend neither on the processor nor on the compiler. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))
#define OUTLINED static __attribute__((noinline))
#define UNROLLED _Pragma("clang loop unroll(full)")

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* The name of an exported function for the kind of processor that this file is compiled for: softkv_avx2_accumulate. */
#define JOINED(kind, name) softkv_##kind##_##name
#define NAMED(kind, name) JOINED(kind, name)
#define KERNEL(name) NAMED(KIND, name)

enum {
    LANES = 16,
    DEEP = 4,              /* bytes of a word: four components of a row */
    LINE = LANES * DEEP,   /* bytes of a word of 16 rows */
    PANEL = 64,            /* rows of a panel */
    GROUPS = PANEL / LANES /* groups of 16 rows of a panel */
};

typedef float f32x16 __attribute__((ext_vector_type(16)));
typedef double f64x16 __attribute__((ext_vector_type(16)));
typedef int32_t i32x16 __attribute__((ext_vector_type(16)));
typedef uint32_t u32x16 __attribute__((ext_vector_type(16)));
typedef int16_t i16x16 __attribute__((ext_vector_type(16)));
typedef int8_t i8x16 __attribute__((ext_vector_type(16)));
typedef double f64x8 __attribute__((ext_vector_type(8)));
typedef float f32x8 __attribute__((ext_vector_type(8)));
typedef int32_t i32x8 __attribute__((ext_vector_type(8)));
typedef int32_t i32x4 __attribute__((ext_vector_type(4)));
typedef int8_t i8x8 __attribute__((ext_vector_type(8)));
typedef float f32x4 __attribute__((ext_vector_type(4)));
typedef double f64x4 __attribute__((ext_vector_type(4)));

/* A vector from any address, aligned or not, and back. */
#define LOAD(kind, from)                                                                                               \
    ({                                                                                                                 \
        kind loaded_;                                                                                                  \
        __builtin_memcpy(&loaded_, from, sizeof loaded_);                                                              \
        loaded_;                                                                                                       \
    })
#define STORE(into, value)                                                                                             \
    ({                                                                                                                 \
        __typeof__(value) stored_ = value;                                                                             \
        __builtin_memcpy(into, &stored_, sizeof stored_);                                                              \
    })

INLINE int64_t min_i64(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t max_i64(int64_t a, int64_t b) { return a > b ? a : b; }
INLINE double min_f64(double a, double b) { return a < b ? a : b; }
INLINE double max_f64(double a, double b) { return a > b ? a : b; }
INLINE float max_f32(float a, float b) { return a > b ? a : b; }

/* a · b + c, rounded once. */
INLINE f32x16 fma_f32x16(f32x16 a, f32x16 b, f32x16 c) { return __builtin_elementwise_fma(a, b, c); }

INLINE f32x16 min_f32x16(f32x16 x, f32x16 limit) { return x < limit ? x : limit; }
INLINE f32x16 max_f32x16(f32x16 x, f32x16 limit) { return x > limit ? x : limit; }
INLINE f32x16 nearest(f32x16 x) { return __builtin_elementwise_rint(x); }
INLINE i32x16 to_i32x16(f32x16 x) { return __builtin_convertvector(x, i32x16); }
INLINE f32x16 to_f32x16(i32x16 x) { return __builtin_convertvector(x, f32x16); }
INLINE int any(i32x16 mask) { return __builtin_reduce_or(mask) != 0; }

/* The sum of 16 lanes: lane i and i + 8, then i and i + 4, i + 2, i + 1. */
INLINE float sum_f32x16(f32x16 x) {
    f32x8 eight = x.lo + x.hi;
    f32x4 a = eight.lo + eight.hi;
    return (a.x + a.z) + (a.y + a.w);
}

INLINE double sum_f64x8(f64x8 x) {
    f64x4 a = x.lo + x.hi;
    return (a.x + a.z) + (a.y + a.w);
}

/* exp(x) for -87 <= x <= 0, with relative error 2e-7 + 2^-23 |x|: 2^n times a polynomial of f, x / ln 2 = n + f. */
INLINE f32x16 exponential(f32x16 x) {
    f32x16 y = x * 1.4426950408889634f, n = nearest(y), f = y - n;
    f32x16 p = fma_f32x16(f, 1.5403530393381609e-4f, 1.3333558146428443e-3f);
    p = fma_f32x16(p, f, 9.618129107628477e-3f);
    p = fma_f32x16(p, f, 5.550410866482158e-2f);
    p = fma_f32x16(p, f, 0.2402265069591007f);
    p = fma_f32x16(p, f, 0.6931471805599453f);
    p = fma_f32x16(p, f, 1.0f);
    return p * (f32x16)((to_i32x16(n) + 127) << 23); /* a cast keeps the bits: n as the exponent of a float */
}

/* Without the C library, these are all that there is of it. */
INLINE void copy(void *into, const void *from, int64_t size) { __builtin_memcpy(into, from, (size_t)size); }
INLINE void clear(void *into, int64_t size) { __builtin_memset(into, 0, (size_t)size); }
