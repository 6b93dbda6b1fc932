/* Operations on rows between two products: bias, activation, gate, residual, scaling, rotation, norms and softmax.
 * `softkv_attention.transformer.feed_forward` defines the activations. */
#pragma once

#include "products.h"

enum { NONE, RELU, GELU, GELU_TANH, SILU, CURVES };
enum { NO_NORM, LAYER_NORM, RMS_NORM };

/* float32[rows, columns]. */
typedef struct {
    float *start;
    int64_t rows, columns;
} Table;

/* uint32[parts, rows, words]: packed numbers. */
typedef struct {
    int32_t *start;
    int64_t parts, rows, words;
} Packed;

INLINE float *row_of(const Table *table, int64_t row) { return table->start + row * table->columns; }
INLINE Lines lines_of(const Packed *packed, int64_t row, int64_t word) {
    return (Lines){packed->start + row * packed->words + word, packed->words, packed->rows * packed->words};
}

/* Where a row operation stores packed numbers: `into` is the number of the first one in a line. */
typedef struct {
    int32_t *start;
    int64_t stride, behind, into;
} Target;

INLINE Target target_of(const Packed *packed, int64_t row, int64_t into) {
    return (Target){packed->start + row * packed->words, packed->words, packed->rows * packed->words, into};
}

/* The float32 with the nearest bfloat16, ties to even. */
INLINE i32x16 nearest_bfloat16(f32x16 x) {
    const i32x16 bits = (i32x16)x;
    return (bits + ((bits >> 16) & 1) + 0x7FFF) & (int32_t)0xFFFF0000;
}
INLINE i16x16 upper_halves(i32x16 bits) { return __builtin_convertvector(bits >> 16, i16x16); }

/* Store 16 numbers, packed as `way` says, from number `column` of the target's line on; a multiple of 16. Integers
 * need a whole group of numbers, which `round_rows` gets. */
INLINE void store_packed(int64_t way, f32x16 x, const Target *out, int64_t row, int64_t column) {
    int32_t *line = out->start + row * out->stride;
    const int64_t number = out->into + column;
    if (way == FLOAT32) {
        STORE(line + number, x);
        return;
    }
    const i32x16 near = nearest_bfloat16(x);
    STORE(line + number / 2, upper_halves(near));
    if (way == THREE) STORE(line + number / 2 + out->behind, upper_halves(nearest_bfloat16(x - (f32x16)near)));
}

/* Round rows of `width` numbers, a multiple of 16, to packed integers. They may be the target's own first numbers. */
OUTLINED void round_rows(const float *rows, int64_t stride, int64_t count, int64_t width, Target out) {
    for (int64_t row = 0; row < count; row++, rows += stride, out.start += out.stride) {
        int32_t *group = out.start + words_of(INT16, out.into);
        for (int64_t begin = 0; begin < width; begin += GROUP, group += GROUP_WORDS) {
            const int64_t numbers = min_i64(GROUP, width - begin);
            f32x16 peak = 1e-30f; /* so that zeros have a unit */
            for (int64_t column = 0; column < numbers; column += LANES)
                peak = max_f32x16(peak, __builtin_elementwise_abs(LOAD(f32x16, rows + begin + column)));
            const float largest = __builtin_reduce_max(peak), unit = largest / LARGEST, inverse = LARGEST / largest;
            for (int64_t column = 0; column < numbers; column += LANES) {
                const i32x16 integers = to_i32x16(nearest(LOAD(f32x16, rows + begin + column) * inverse));
                STORE(group + column / 2, __builtin_convertvector(integers, i16x16));
            }
            for (int64_t column = numbers; column < GROUP; column += LANES) STORE(group + column / 2, (i16x16)0);
            STORE(group + GROUP / 2, unit);
        }
    }
}

/* By Horner's rule, with coefficients in descending powers. */
INLINE f32x16 polynomial(f32x16 x, const float *coefficients, const int count) {
    f32x16 value = coefficients[0];
    UNROLLED for (int power = 1; power < count; power++) value = fma_f32x16(value, x, coefficients[power]);
    return value;
}

/* erf(z) = z · P(z²) / Q(z²) for |z| <= 4, with error 2e-8 plus float32 rounding. The coefficients were fitted by least
 * squares, reweighted until the errors were equal. Beyond 4, erf is ±1 to 2e-8. */
static const float ERF_OVER[] = {1.974912470783956e-06f, 2.8802384875160637e-4f, 4.00297820928197e-3f,
                                 5.3465419439338226e-2f, 0.19623369074321115f,   1.1283789770854487f};
static const float ERF_UNDER[] = {3.748080309693057e-05f, 1.2161931133817076e-3f, 1.5443091351662538e-2f,
                                  0.11647006961177771f,   0.5072387454076646f,    1.0f};

/* x·Φ(x), Φ the normal distribution function, with error 8e-7·max(1, x). */
INLINE f32x16 gelu(f32x16 x) {
    x = max_f32x16(x, -5.656854249492381f);
    const f32x16 z = max_f32x16(min_f32x16(x * 0.7071067811865476f, 4.0f), -4.0f), square = z * z;
    const f32x16 erf = z * polynomial(square, ERF_OVER, 6) / polynomial(square, ERF_UNDER, 6), half = x * 0.5f;
    return fma_f32x16(half, erf, half);
}

/* σ(x) = 1 / (1 + e⁻ˣ). It uses only exponentials of numbers up to 0, which cannot overflow. */
INLINE f32x16 logistic(f32x16 x) {
    const i32x16 positive = x > 0.0f;
    const f32x16 small = exponential(max_f32x16(positive ? x * -1.0f : x, -87.0f));
    return (positive ? (f32x16)1.0f : small) / (small + 1.0f);
}

/* GELU's tanh approximation: x·σ(2u), u = √(2/π)·(x + 0.044715·x³). */
INLINE f32x16 gelu_tanh(f32x16 x) {
    return x * logistic(fma_f32x16(x * x * x, 0.044715f, x) * 1.5957691216057308f);
}

INLINE f32x16 bend(const int curve, f32x16 x) {
    switch (curve) {
        case RELU: return max_f32x16(x, 0.0f);
        case GELU: return gelu(x);
        case GELU_TANH: return gelu_tanh(x);
        case SILU: return x * logistic(x);
        default: return x;
    }
}

INLINE void finish_by(const int curve, const int gated, int64_t way, const float *sums, int64_t stride, int64_t rows,
                      int64_t columns, const float *bias, Target out) {
    for (int64_t row = 0; row < rows; row++, sums += stride)
        for (int64_t column = 0; column < columns; column += LANES) {
            f32x16 x = bend(curve, LOAD(f32x16, sums + column) + LOAD(f32x16, bias + column));
            if (gated) x *= LOAD(f32x16, sums + columns + column) + LOAD(f32x16, bias + columns + column);
            store_packed(way, x, &out, row, column);
        }
}

/* Store curve(x) packed, x = sums[: rows] + bias, of `columns` columns, a multiple of 16. With a gate, x has twice the
 * columns, and the result is curve(x[:, : columns]) · x[:, columns :]. */
OUTLINED void finish(int64_t way, const float *sums, int64_t stride, int64_t rows, int64_t columns, const float *bias,
                     int64_t curve, int64_t gated, Target out) {
#define CASE(number)                                                                                                   \
    case number: finish_by(number, 0, way, sums, stride, rows, columns, bias, out); return;                            \
    case CURVES + number: finish_by(number, 1, way, sums, stride, rows, columns, bias, out); return;
    switch (curve + gated * CURVES) { CASE(NONE) CASE(RELU) CASE(GELU) CASE(GELU_TANH) CASE(SILU) }
#undef CASE
}

/* y[: rows] += bias + x[: rows]; rows of `width` numbers, without a gap between them. */
OUTLINED void add(float *y, int64_t width, int64_t rows, const float *bias, const float *x) {
    for (int64_t row = 0; row < rows; row++, y += width, x += width)
        for (int64_t column = 0; column < width; column += LANES)
            STORE(y + column, LOAD(f32x16, y + column) + LOAD(f32x16, bias + column) + LOAD(f32x16, x + column));
}

/* Store sums[: rows, : columns] · factors[: rows, None] packed. */
OUTLINED void scale(int64_t way, const float *sums, int64_t stride, int64_t rows, int64_t columns, const float *factors,
                    Target out) {
    for (int64_t row = 0; row < rows; row++, sums += stride)
        for (int64_t column = 0; column < columns; column += LANES)
            store_packed(way, LOAD(f32x16, sums + column) * factors[row], &out, row, column);
}

/* 1 / √(total / width + epsilon). */
INLINE float reciprocal_root(float total, int64_t width, float epsilon) {
    return 1.0f / __builtin_elementwise_sqrt(total / (float)width + epsilon);
}

/* Normalise y[rows, width]:
 *
 *     LAYER_NORM     (y − mean y) / √(mean (y − mean y)² + epsilon) · scales + shifts
 *     RMS_NORM       y / √(mean y² + epsilon) · scales + shifts
 *     NO_NORM        y · scales + shifts
 *
 * A mean is the sum of 16 lanes, each of every 16th number. The results are stored packed, and as float32 in x; if it
 * `keeps` them, x gets the rows of y, and y the results. x and y may be the same, unless it keeps. */
OUTLINED void normalise(int64_t way, int64_t kind, float *y, int64_t width, int64_t rows, float epsilon,
                        int keeps, const float *scales, const float *shifts, float *x, Target out) {
    for (int64_t row = 0; row < rows; row++, y += width, x += width) {
        float mean = 0.0f, inverse = 1.0f;
        if (kind == LAYER_NORM) {
            f32x16 total = 0.0f;
            for (int64_t column = 0; column < width; column += LANES) total = total + LOAD(f32x16, y + column);
            mean = sum_f32x16(total) / (float)width;
        }
        if (kind != NO_NORM) {
            f32x16 total = 0.0f;
            for (int64_t column = 0; column < width; column += LANES) {
                const f32x16 centred = LOAD(f32x16, y + column) - mean;
                total = fma_f32x16(centred, centred, total);
            }
            inverse = reciprocal_root(sum_f32x16(total), width, epsilon);
        }
        for (int64_t column = 0; column < width; column += LANES) {
            const f32x16 before = LOAD(f32x16, y + column), unit = (before - mean) * inverse;
            const f32x16 after = fma_f32x16(unit, LOAD(f32x16, scales + column), LOAD(f32x16, shifts + column));
            if (keeps) STORE(x + column, before);
            STORE((keeps ? y : x) + column, after);
            if (way != INT16) store_packed(way, after, &out, row, column);
        }
        if (way == INT16) {
            round_rows(keeps ? y : x, width, 1, width, out);
            out.start += out.stride;
        }
    }
}

/* Add the bias to the queries or keys of one head, head[rows, width], normalise and rotate them, and store them packed:
 *
 *     z = (head + bias) · scales, divided by √(mean (head + bias)² + epsilon) if it `normalises`
 *     out[j] = z[j] · cos[j] − z[j + width/2] · sin[j]
 *     out[j + width/2] = z[j] · sin[j] + z[j + width/2] · cos[j]
 *
 * The line of `rotations` of a row's position has the width/2 cosines, then the sines. */
OUTLINED void rotate(int64_t way, const float *head, int64_t width, int64_t rows, const float *bias, int64_t normalises,
                     const float *scales, float epsilon, const float *rotations, const int64_t *positions, Target out) {
    const int64_t half = width / 2;
    for (int64_t row = 0; row < rows; row++, head += width) {
        const float *angles = rotations + positions[row] * width;
        float inverse = 1.0f;
        if (normalises) {
            f32x16 total = 0.0f;
            for (int64_t column = 0; column < width; column += LANES) {
                const f32x16 x = LOAD(f32x16, head + column) + LOAD(f32x16, bias + column);
                total = fma_f32x16(x, x, total);
            }
            inverse = reciprocal_root(sum_f32x16(total), width, epsilon);
        }
        for (int64_t column = 0, other = half; column < half; column += LANES, other += LANES) {
            const f32x16 x = (LOAD(f32x16, head + column) + LOAD(f32x16, bias + column)) * inverse
                            * LOAD(f32x16, scales + column);
            const f32x16 y = (LOAD(f32x16, head + other) + LOAD(f32x16, bias + other)) * inverse
                            * LOAD(f32x16, scales + other);
            const f32x16 cosine = LOAD(f32x16, angles + column), sine = LOAD(f32x16, angles + other);
            store_packed(way, fma_f32x16(x, cosine, -(y * sine)), &out, row, column);
            store_packed(way, fma_f32x16(x, sine, y * cosine), &out, row, other);
        }
    }
}

/* logits[r, c] += distances[c − r], for `columns` columns; up to 15 further columns may change. */
OUTLINED void add_distances(float *logits, int64_t stride, int64_t rows, int64_t columns, const float *distances) {
    for (int64_t row = 0; row < rows; row++, logits += stride, distances--)
        for (int64_t column = 0; column < columns; column += LANES)
            STORE(logits + column, LOAD(f32x16, logits + column) + LOAD(f32x16, distances + column));
}

/* Which of the 16 columns from `column` on lie among the `width` columns from `begin` on. */
INLINE i32x16 among(int64_t column, int64_t begin, int64_t width) {
    const u32x16 places = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    /* Columns before `begin` are negative numbers, which are large without their sign. */
    return places - (uint32_t)(begin - column) < (u32x16)(uint32_t)width;
}

/* The terms of a softmax: exp(z − max z) for the first `count` logits z of each row, and 1/Σ in `factors`. Row r
 * attends to columns position + r − back to position + r + ahead; the terms of others are zeros. They are stored
 * packed, `padded` numbers, a multiple of 16. A difference below −87 counts as −87, whose exponential is 2e-38. */
OUTLINED void exponentials(int64_t way, const float *logits, int64_t stride, int64_t rows, int64_t count,
                           int64_t padded, int64_t position, int64_t back, int64_t ahead, Target out, float *factors) {
    for (int64_t row = 0; row < rows; row++, logits += stride) {
        const int64_t token = position + row, begin = token - min_i64(token, back);
        const int64_t width = min_i64(token + ahead + 1, count) - begin;
        f32x16 peak = -1e30f, total = 0.0f;
        for (int64_t column = 0; column < count; column += LANES) {
            const f32x16 seen = among(column, begin, width) ? LOAD(f32x16, logits + column) : (f32x16)-1e30f;
            peak = max_f32x16(peak, seen);
        }
        const float max_logit = __builtin_reduce_max(peak);
        for (int64_t column = 0; column < padded; column += LANES) {
            const f32x16 below = min_f32x16(max_f32x16(LOAD(f32x16, logits + column) - max_logit, -87.0f), 0.0f);
            const f32x16 term = among(column, begin, width) ? exponential(below) : (f32x16)0.0f;
            total = total + term;
            store_packed(way, term, &out, row, column);
        }
        factors[row] = 1.0f / sum_f32x16(total);
    }
}
