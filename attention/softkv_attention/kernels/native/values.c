/* Σ weight · value over the 8-bit codes of values: weights become integers, their levels, which are multiplied with the
 * codes. Where bytes are multiplied with 16-bit numbers (WIDE), a level has 16 bits; else it has 8, or with `fine` 16 in
 * two lines of bytes, of which the first counts 256 times. */
#include "dot.h"

static const double NEGLIGIBLE = 1e-7, MIN_STEP = 1e-30, ABOVE_MEAN = 16.0;

enum {
    BYTE_LEVELS = 127,
    CHUNK_ROWS = 1024,
    FINE_LEVELS = 0x7FFFFFFF / (BYTE_LEVELS * CHUNK_ROWS) /* a chunk's sum of levels · codes fits into 32 bits */
};

#ifdef WIDE
typedef int16_t level;
#else
typedef int8_t level;
#endif

#if defined(__ARM_FEATURE_DOTPROD) && !defined(__ARM_FEATURE_MATMUL_INT8)
enum { ADDED = 0 }; /* codes are made signed before they are multiplied */
#else
enum { ADDED = 128 };
#endif

typedef struct {
    const uint8_t *codes;          /* uint8[chunks, groups, length, 16, 4], transposed: 16 columns, four rows to a word */
    const float *scales;           /* [rows] */
    const float *originals;        /* float32[rows, width] */
    const double *inverse_squares; /* [chunks], upper bounds of Σ scale⁻² */
    int64_t rows, chunks, groups, length, width;
    double residual, size, code_length; /* upper bounds of ‖v − v̂‖, of ‖v‖, and of the length of a row of codes */
} Values;

typedef struct {
    const float *weights;  /* float32[count, width ≥ rows], at least 0 */
    const int64_t *counts; /* int64[count], how many rows each query has listed */
    int64_t count, width;
    int64_t fine; /* whether levels have 16 bits */
} Weights;

/* Memory for `count` queries, which `KERNEL(values_scratch)` measures. */
typedef struct {
    double *masses;
    float *tops, *steps;
    int32_t *offsets, *products;
    level *levels; /* [lines, chunk] */
} Scratch;

/* Lines of levels: the products take 16 at a time in the matrix unit, so their number is rounded up for it. */
INLINE int64_t lines_of(int64_t count, int fine) {
#ifdef WIDE
    (void)fine;
    return count;
#else
    const int64_t lines = fine ? 2 * count : count;
#if defined(__AMX_INT8__)
    enum { FEW = 4 };
    return lines > FEW ? (lines + TILE - 1) / TILE * TILE : lines;
#else
    return lines;
#endif
#endif
}

/* Addresses are integers here, because C has no sums with a null pointer. */
INLINE uintptr_t take(uintptr_t *room, int64_t size) {
    const uintptr_t taken = *room;
    *room += (uintptr_t)((size + LINE - 1) / LINE * LINE);
    return taken;
}

INLINE uintptr_t divide(uintptr_t room, int64_t count, int64_t lines, int64_t chunk, Scratch *scratch) {
    scratch->masses = (double *)take(&room, count * (int64_t)sizeof(double));
    scratch->tops = (float *)take(&room, count * (int64_t)sizeof(float));
    scratch->steps = (float *)take(&room, count * (int64_t)sizeof(float));
    scratch->offsets = (int32_t *)take(&room, count * (int64_t)sizeof(int32_t));
    scratch->products = (int32_t *)take(&room, lines * PANEL * (int64_t)sizeof(int32_t));
    scratch->levels = (level *)take(&room, lines * chunk * (int64_t)sizeof(level));
    return room;
}

/* Bytes of scratch memory that `add_values` needs. */
EXPORT int64_t KERNEL(values_scratch)(const Values *values, int64_t count, int fine) {
    Scratch scratch;
    return (int64_t)divide(0, count, lines_of(count, fine), values->length * DEEP, &scratch);
}

/* The sum and the maximum of weights, each at least 0. */
INLINE void weigh(const float *weights, int64_t rows, double *mass, float *top) {
    double total = 0.0;
    float maximum = 0.0f;
    int64_t first = 0;
    for (; first + PANEL <= rows; first += PANEL) {
        const float *from = weights + first;
        f32x16 a = LOAD(f32x16, from), b = LOAD(f32x16, from + 16), c = LOAD(f32x16, from + 32), d = LOAD(f32x16, from + 48);
        total += sum_f32x16((a + b) + (c + d));
        const float best = __builtin_reduce_max(max_f32x16(max_f32x16(a, b), max_f32x16(c, d)));
        maximum = max_f32(best, maximum);
    }
    for (; first < rows; first++) {
        total += weights[first];
        maximum = max_f32(weights[first], maximum);
    }
    *mass = total, *top = maximum;
}

/* A weight as a number of steps, rounded. */
INLINE f32x16 levels_at(const float *weights, const float *scales, float inverse) {
    return nearest(LOAD(f32x16, weights) * LOAD(f32x16, scales) * inverse);
}
INLINE float level_at(const float *weights, const float *scales, float inverse) {
    return __builtin_elementwise_rint(weights[0] * scales[0] * inverse);
}

#ifdef WIDE
/* Write levels as int16, every four in the order 0, 2, 1, 3 in which pairs are multiplied. Return their sum. */
INLINE int64_t write_levels(const float *weights, const float *scales, int64_t rows, float inverse, level *into) {
    static const int8_t in_pairs[DEEP] = {0, 2, 1, 3};
    int64_t total = 0, i = 0;
    for (; i + PANEL <= rows; i += PANEL) {
        i32x16 whole[GROUPS];
        UNROLLED for (int group = 0; group < GROUPS; group++) {
            const int64_t at = i + LANES * group;
            whole[group] = to_i32x16(levels_at(weights + at, scales + at, inverse));
            i16x16 h = __builtin_convertvector(whole[group], i16x16);
            STORE(into + at, __builtin_shufflevector(h, h, 0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15));
        }
        total += __builtin_reduce_add((whole[0] + whole[1]) + (whole[2] + whole[3]));
    }
    for (; i < rows; i++) {
        const int32_t whole = (int32_t)level_at(weights + i, scales + i, inverse);
        into[i - i % DEEP + in_pairs[i % DEEP]] = (level)whole;
        total += whole;
    }
    return total;
}
#else
/* Write levels as two lines of bytes, `apart` bytes apart: the nearest multiple of 256, and the rest from -128 to 127.
 * Return their sum. */
INLINE int64_t write_fine(const float *weights, const float *scales, int64_t rows, float inverse, level *into,
                          int64_t apart) {
    int64_t total = 0, i = 0;
    for (; i + PANEL <= rows; i += PANEL) {
        i32x16 whole[GROUPS];
        UNROLLED for (int group = 0; group < GROUPS; group++) {
            const int64_t at = i + LANES * group;
            whole[group] = to_i32x16(levels_at(weights + at, scales + at, inverse));
            STORE(into + at, __builtin_convertvector((whole[group] + 128) >> 8, i8x16));
            STORE(into + apart + at, __builtin_convertvector(whole[group], i8x16));
        }
        total += __builtin_reduce_add((whole[0] + whole[1]) + (whole[2] + whole[3]));
    }
    for (; i < rows; i++) {
        const int32_t whole = (int32_t)level_at(weights + i, scales + i, inverse);
        into[i] = (level)((whole + 128) >> 8);
        into[apart + i] = (level)whole;
        total += whole;
    }
    return total;
}

/* Add weight · value of each of some rows whose level is above 127. */
OUTLINED void add_above(const Values *values, int64_t first, int64_t rows, const float *weights, float inverse,
                        double *output) {
    for (int64_t i = 0; i < rows; i++) {
        if (!(level_at(weights + i, values->scales + first + i, inverse) > BYTE_LEVELS)) continue;
        const float *original = values->originals + (first + i) * values->width;
        for (int64_t t = 0; t < values->width; t++) output[t] += (double)weights[i] * (double)original[t];
    }
}

/* Write levels as bytes; one above 127 is written as 0, and its row added to the output. Return the sum of the levels. */
INLINE int64_t write_coarse(const Values *values, int64_t first, int64_t rows, const float *weights, float inverse,
                            level *into, double *output) {
    const float *scales = values->scales + first;
    int64_t total = 0, i = 0;
    for (; i + PANEL <= rows; i += PANEL) {
        i32x16 whole[GROUPS], above = 0;
        UNROLLED for (int group = 0; group < GROUPS; group++) {
            const int64_t at = i + LANES * group;
            f32x16 x = levels_at(weights + at, scales + at, inverse);
            i32x16 high = x > (float)BYTE_LEVELS;
            whole[group] = to_i32x16(high ? (f32x16)0.0f : x);
            STORE(into + at, __builtin_convertvector(whole[group], i8x16));
            above |= high;
        }
        total += __builtin_reduce_add((whole[0] + whole[1]) + (whole[2] + whole[3]));
        if (any(above)) add_above(values, first + i, PANEL, weights + i, inverse, output);
    }
    for (; i < rows; i++) {
        const float x = level_at(weights + i, scales + i, inverse);
        if (x > BYTE_LEVELS) add_above(values, first + i, 1, weights + i, inverse, output);
        into[i] = x > BYTE_LEVELS ? 0 : (level)x;
        total += into[i];
    }
    return total;
}
#endif

/* Add step · (product − offset) of 64 columns, or of the last ones, to an output. With two lines the first line's
 * products count 256 times. */
INLINE void add_products_of(const int32_t *products, int lines, int32_t offset, float step, int64_t columns,
                            double *output) {
    const int32_t *low = products + (lines - 1) * PANEL;
    if (columns >= PANEL) {
        UNROLLED for (int lane = 0; lane < PANEL; lane += LANES) {
            i32x16 product = LOAD(i32x16, low + lane) - offset;
            if (lines == 2) product += LOAD(i32x16, products + lane) << 8;
            f64x16 factor = __builtin_convertvector(product, f64x16);
            STORE(output + lane, __builtin_elementwise_fma(factor, (f64x16)(double)step, LOAD(f64x16, output + lane)));
        }
        return;
    }
    for (int64_t t = 0; t < columns; t++) {
        uint32_t product = (uint32_t)low[t] - (uint32_t)offset;
        if (lines == 2) product += (uint32_t)products[t] << 8;
        output[t] = __builtin_elementwise_fma((double)(int32_t)product, (double)step, output[t]);
    }
}

/* Add Σ weight · value over coded values to the output of each query, and bounds of its error to `errors`.
 *
 * Values whose weights are negligible beside those of the listed rows are left out. outputs: float64[count, values->width];
 * errors: float64[count, 5], see `lookup.scan.VALUE_ERRORS`; room: scratch memory at a multiple of 64. */
EXPORT void KERNEL(add_values)(const Values *values, const Weights *of, double *outputs, double *errors, uint8_t *room) {
    const int64_t rows = values->rows, chunk = values->length * DEEP, count = of->count, width = of->width;
    const float *weights = of->weights;
#ifdef WIDE
    enum { EACH = 1 };
    const int fine = 1;
#else
    const int fine = of->fine != 0, EACH = fine ? 2 : 1;
#endif
    const int64_t levels = fine ? FINE_LEVELS : BYTE_LEVELS, lines = lines_of(count, fine);
    Scratch scratch;
    divide((uintptr_t)room, count, lines, chunk, &scratch);
    int matters = 0;
    for (int64_t query = 0; query < count; query++) {
        weigh(weights + query * width, rows, scratch.masses + query, scratch.tops + query);
        matters |= scratch.masses[query] > NEGLIGIBLE * (double)of->counts[query];
    }
    if (!matters) {
        for (int64_t query = 0; query < count; query++) errors[5 * query] += scratch.masses[query] * values->size;
        return;
    }
    float max_scale = 0.0f;
    double inverse_squares = 0.0;
    for (int64_t i = 0; i < rows; i++) max_scale = max_f32(values->scales[i], max_scale);
    for (int64_t i = 0; i < values->chunks; i++) inverse_squares += values->inverse_squares[i];
    for (int64_t query = 0; query < count; query++) {
        const double mass = scratch.masses[query], limit = ABOVE_MEAN * mass / (double)rows;
        /* Rows above the limit are added one by one, and are no part of the coded mass. */
        const int above = !fine && scratch.tops[query] > limit;
        const double step = (above ? limit : (double)scratch.tops[query]) * (double)max_scale / (double)levels;
        scratch.steps[query] = (float)(max_f64(step, MIN_STEP));
        const double rounding = (double)scratch.steps[query] * (0.5 + (double)levels * 0x1p-21);
        double *error = errors + 5 * query;
        error[1] += mass * values->residual;
        error[2] += (double)rows * rounding * values->code_length;
        error[3] += above ? 0.0 : mass;
        error[4] += rounding * rounding * inverse_squares;
    }
    clear(scratch.levels, lines * chunk * (int64_t)sizeof(level));
    for (int64_t first = 0; first < rows; first += chunk) {
        const int64_t left = min_i64(chunk, rows - first);
        int64_t every = 0;
        if (left < chunk) clear(scratch.levels, lines * chunk * (int64_t)sizeof(level));
        for (int64_t query = 0; query < count; query++) {
            const float *from = weights + query * width + first, inverse = 1.0f / scratch.steps[query];
            level *into = scratch.levels + query * EACH * chunk;
#ifdef WIDE
            const int64_t total = write_levels(from, values->scales + first, left, inverse, into);
#else
            const int64_t total = fine ? write_fine(from, values->scales + first, left, inverse, into, chunk)
                                       : write_coarse(values, first, left, from, inverse, into,
                                                      outputs + query * values->width);
#endif
            scratch.offsets[query] = (int32_t)(uint32_t)(ADDED * total); /* wraps around, like the products */
            every += total;
        }
        if (!every) continue;
        const uint8_t *codes = values->codes + first / chunk * values->groups * values->length * LINE;
        for (int64_t group = 0; group < values->groups; group += GROUPS) {
            const int64_t column = group * LANES;
            byte_products(codes, group, (const int32_t *)scratch.levels, lines, values->length, scratch.products);
            for (int64_t query = 0; query < count; query++)
                add_products_of(scratch.products + query * EACH * PANEL, EACH, scratch.offsets[query],
                                scratch.steps[query], values->width - column, outputs + query * values->width + column);
        }
    }
}
