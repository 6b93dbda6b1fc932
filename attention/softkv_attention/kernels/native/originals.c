/* Passes over float32 rows: products, weighted sums, 8-bit codes, quadratic forms. Products and sums are float64. */
#include "originals.h"

enum { AHEAD = 3, LEVELS = 127 };

/* The first of m indices that is not below `count`, or -1. A caller's indices are checked before any row is read. */
INLINE int64_t outside(const int64_t *indices, int64_t m, int64_t count) {
    uint64_t maximum = 0;
    for (int64_t i = 0; i < m; i++) maximum = (uint64_t)indices[i] > maximum ? (uint64_t)indices[i] : maximum;
    if (m == 0 || maximum < (uint64_t)count) return -1;
    int64_t i = 0;
    while ((uint64_t)indices[i] < (uint64_t)count) i++;
    return i;
}

/* The kernels below take a structure each: addresses, then int64, in the order of the kernel's row in binding.py. They return
 * -1, or the place of an index that is too large. */
typedef struct {
    const float *values;           /* float32[n, width] */
    const int64_t *rows, *queries; /* int64[m] */
    const double *weights;         /* float64[m] */
    double *outputs;               /* float64[q, width], added to */
    int64_t n, width, m, q;
} AddRows;

/* Add weight · value of each of m rows to the output of one query. */
EXPORT int64_t KERNEL(add_rows)(const AddRows *call) {
    const float *values = call->values;
    const int64_t *rows = call->rows, *queries = call->queries, width = call->width, m = call->m;
    const double *weights = call->weights;
    const int64_t bad_row = outside(rows, m, call->n), bad_query = outside(queries, m, call->q);
    if (bad_row >= 0 || bad_query >= 0) return max_i64(bad_row, bad_query);
    for (int64_t i = 0; i < m;) {
        for (int64_t ahead = i + 4; ahead < min_i64(i + 8, m); ahead++) fetch_row(values + rows[ahead] * width, width);
        double *output = call->outputs + queries[i] * width;
        int64_t t = 0;
        if (i + 3 < m && queries[i + 1] == queries[i] && queries[i + 2] == queries[i] && queries[i + 3] == queries[i]) {
            /* Four rows at once, so that an output is read and written once for all four. */
            const float *a = values + rows[i] * width, *b = values + rows[i + 1] * width;
            const float *c = values + rows[i + 2] * width, *d = values + rows[i + 3] * width;
            const double *w = weights + i;
            for (; t + EIGHT <= width; t += EIGHT) {
                f64x8 one = fma_f64x8((f64x8)w[0], to_f64x8(a + t), (f64x8)w[1] * to_f64x8(b + t));
                f64x8 other = fma_f64x8((f64x8)w[2], to_f64x8(c + t), (f64x8)w[3] * to_f64x8(d + t));
                STORE(output + t, LOAD(f64x8, output + t) + (one + other));
            }
            for (; t < width; t++) {
                double one = __builtin_elementwise_fma(w[0], (double)a[t], w[1] * (double)b[t]);
                output[t] += one + __builtin_elementwise_fma(w[2], (double)c[t], w[3] * (double)d[t]);
            }
            i += 4;
        } else {
            const float *row = values + rows[i] * width;
            for (; t + EIGHT <= width; t += EIGHT)
                STORE(output + t, fma_f64x8((f64x8)weights[i], to_f64x8(row + t), LOAD(f64x8, output + t)));
            for (; t < width; t++) output[t] = __builtin_elementwise_fma(weights[i], (double)row[t], output[t]);
            i++;
        }
    }
    return -1;
}

typedef struct {
    const float *vectors;  /* float32[n, width] */
    const int64_t *rows;   /* int64[m] */
    const double *queries; /* float64[q, width] */
    double *products;      /* float64[q, m], filled */
    int64_t n, width, m, q;
} AllProducts;

/* Fill the dot products of every query and each of m rows. */
EXPORT int64_t KERNEL(all_products)(const AllProducts *call) {
    const int64_t m = call->m, bad = outside(call->rows, m, call->n);
    if (bad >= 0) return bad;
    fill_products(call->vectors, call->width, call->rows, m, call->queries, call->q, call->products, m);
    return -1;
}

typedef struct {
    const float *vectors;    /* float32[n, width] */
    const int64_t *rows;     /* int64[m] */
    const double *queries;   /* float64[q, width] */
    const int64_t *query_of; /* int64[m] */
    double *products;        /* float64[m], filled */
    int64_t n, width, m, q;
} RowProducts;

/* Fill the dot products of row rows[i] and query query_of[i], for each i. */
EXPORT int64_t KERNEL(row_products)(const RowProducts *call) {
    const int64_t *rows = call->rows, *query_of = call->query_of, width = call->width, m = call->m;
    const int64_t bad_row = outside(rows, m, call->n), bad_query = outside(query_of, m, call->q);
    if (bad_row >= 0 || bad_query >= 0) return max_i64(bad_row, bad_query);
    for (int64_t i = 0; i < m; i++) {
        if (i + AHEAD < m) fetch_row(call->vectors + rows[i + AHEAD] * width, width);
        const float *row = call->vectors + rows[i] * width;
        multiply_rows(1, 1, &row, call->queries + query_of[i] * width, width, call->products + i);
    }
    return -1;
}

typedef struct {
    const float *vectors;  /* float32[n, width] */
    const int64_t *rows;   /* int64[m] */
    const double *weights; /* float64[q, m] */
    double *outputs;       /* float64[q, width], added to */
    int64_t n, width, m, q;
} AllSums;

/* Add the weighted sum of m rows to each output. */
EXPORT int64_t KERNEL(all_sums)(const AllSums *call) {
    const float *vectors = call->vectors;
    const int64_t *rows = call->rows, width = call->width, m = call->m, bad = outside(rows, m, call->n);
    if (bad >= 0) return bad;
    for (int64_t first = 0; first < m; first += 4) {
        const int64_t count = min_i64(4, m - first);
        const float *four[4];
        for (int64_t i = 0; i < 4; i++) four[i] = vectors + rows[first + min_i64(i, count - 1)] * width;
        for (int64_t ahead = first + 4; ahead < min_i64(first + 8, m); ahead++)
            fetch_row(vectors + rows[ahead] * width, width);
        for (int64_t query = 0; query < call->q; query++) {
            double w[4], *output = call->outputs + query * width;
            for (int64_t i = 0; i < 4; i++) w[i] = i < count ? call->weights[query * m + first + i] : 0.0;
            if (w[0] == 0.0 && w[1] == 0.0 && w[2] == 0.0 && w[3] == 0.0) continue;
            int64_t t = 0;
            for (; t + EIGHT <= width; t += EIGHT) {
                f64x8 total = (f64x8)w[0] * to_f64x8(four[0] + t);
                UNROLLED for (int i = 1; i < 4; i++) total = fma_f64x8((f64x8)w[i], to_f64x8(four[i] + t), total);
                STORE(output + t, LOAD(f64x8, output + t) + total);
            }
            for (; t < width; t++) {
                double total = w[0] * (double)four[0][t];
                UNROLLED for (int i = 1; i < 4; i++) total = __builtin_elementwise_fma(w[i], (double)four[i][t], total);
                output[t] += total;
            }
        }
    }
    return -1;
}

/* max|x| of a row. The bits of floats without their sign are ordered like the floats. */
INLINE float max_magnitude(const float *row, int64_t width) {
    i32x16 max_bits = 0;
    int64_t t = 0;
    for (; t + LANES <= width; t += LANES) {
        i32x16 bits = LOAD(i32x16, row + t) & 0x7FFFFFFF;
        max_bits = bits > max_bits ? bits : max_bits;
    }
    int32_t maximum = __builtin_reduce_max(max_bits);
    for (; t < width; t++) {
        const int32_t bits = LOAD(int32_t, row + t) & 0x7FFFFFFF;
        maximum = bits > maximum ? bits : maximum;
    }
    return LOAD(float, &maximum);
}

/* What a row loses by its 8-bit code: x − code · scale, the code being x / step rounded. No step is fused with another, so
 * a component halfway between two codes is rounded as it was when it was coded. */
INLINE f64x8 residual_of(f64x8 x, double step, double scale, f64x8 *code) {
    *code = __builtin_elementwise_rint(x / step);
    return x - *code * scale;
}

typedef struct {
    const float *vectors; /* float32[n, width] */
    int8_t *codes;        /* int8[n, width], filled */
    float *left;          /* float32[n, width], filled with the residuals */
    double *scales;       /* float64[n], filled */
    double *squares;      /* float64[n], filled with those of the residuals */
    double *total;        /* float64[width], to which the residuals are added */
    int64_t n, width;
} CodeRows;

/* Code n rows in 8 bits: each component becomes the integer nearest to x / scale, scale = max|x| / 127. */
EXPORT int64_t KERNEL(code_rows)(const CodeRows *call) {
    const int64_t width = call->width;
    double *total = call->total;
    for (int64_t m = 0; m < call->n; m++) {
        const float *row = call->vectors + m * width;
        int8_t *codes = call->codes + m * width;
        float *left = call->left + m * width;
        const double scale = (double)max_magnitude(row, width) / LEVELS, step = scale > 0.0 ? scale : 1.0;
        f64x8 square = 0.0;
        int64_t t = 0;
        for (; t + EIGHT <= width; t += EIGHT) {
            f64x8 code, residual = residual_of(to_f64x8(row + t), step, scale, &code);
            i32x8 whole = __builtin_convertvector(code, i32x8);
            STORE(codes + t, __builtin_convertvector(whole, i8x8));
            STORE(left + t, __builtin_convertvector(residual, f32x8));
            STORE(total + t, LOAD(f64x8, total + t) + residual);
            square = fma_f64x8(residual, residual, square);
        }
        double squared = sum_f64x8(square);
        for (; t < width; t++) {
            f64x8 code, residual = residual_of((f64x8)(double)row[t], step, scale, &code);
            codes[t] = (int8_t)(int32_t)code[0];
            left[t] = (float)residual[0];
            total[t] += residual[0];
            squared = __builtin_elementwise_fma(residual[0], residual[0], squared);
        }
        call->scales[m] = scale, call->squares[m] = squared;
    }
    return -1;
}

typedef struct {
    const float *vectors; /* float32[n, width] */
    const int64_t *rows;  /* int64[m] */
    double *total;        /* float64[width], filled */
    int64_t n, width, m;
} ResidualSum;

/* Sum x − x̂ of m rows; x̂ is the row x decoded from its 8-bit code. */
EXPORT int64_t KERNEL(residual_sum)(const ResidualSum *call) {
    const int64_t *rows = call->rows, width = call->width, m = call->m, bad = outside(rows, m, call->n);
    double *total = call->total;
    if (bad >= 0) return bad;
    clear(total, width * (int64_t)sizeof *total);
    for (int64_t i = 0; i < m; i++) {
        if (i + AHEAD < m) fetch_row(call->vectors + rows[i + AHEAD] * width, width);
        const float *row = call->vectors + rows[i] * width;
        const double scale = (double)max_magnitude(row, width) / LEVELS;
        if (scale == 0.0) continue;
        f64x8 code;
        int64_t t = 0;
        for (; t + EIGHT <= width; t += EIGHT)
            STORE(total + t, LOAD(f64x8, total + t) + residual_of(to_f64x8(row + t), scale, scale, &code));
        for (; t < width; t++) total[t] += residual_of((f64x8)(double)row[t], scale, scale, &code)[0];
    }
    return -1;
}

enum { BLOCK = 8 }; /* matrix rows at a time */
static const double MIN_SQUARE = 1e-300;

/* Products of `count` matrix rows, over columns `begin` to `end`, with 16 vectors: each register holds one component of
 * all 16. matrix: float32[·, width]; side: float32[width, 16]; into: float32[count, 16]. */
INLINE void multiply_side(const int count, const float *matrix, int64_t width, int64_t begin, int64_t end,
                          const float *side, float *into) {
    f32x16 totals[BLOCK] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    for (int64_t column = begin; column < end; column++) {
        const f32x16 vectors = LOAD(f32x16, side + column * LANES);
        UNROLLED for (int row = 0; row < count; row++)
            totals[row] = fma_f32x16((f32x16)matrix[row * width + column], vectors, totals[row]);
    }
    UNROLLED for (int row = 0; row < count; row++) STORE(into + LANES * row, totals[row]);
}

/* ‖x‖² and, in `unit`, every `apart`-th float, x / ‖x‖. */
INLINE double square_and_unit(const double *x, int64_t width, float *unit, int64_t apart) {
    f64x8 total = 0.0;
    int64_t t = 0;
    for (; t + EIGHT <= width; t += EIGHT) total = fma_f64x8(LOAD(f64x8, x + t), LOAD(f64x8, x + t), total);
    double square = sum_f64x8(total);
    for (; t < width; t++) square = __builtin_elementwise_fma(x[t], x[t], square);
    const double shorter = 1.0 / __builtin_elementwise_sqrt(square > MIN_SQUARE ? square : MIN_SQUARE);
    for (t = 0; t < width; t++) unit[t * apart] = (float)(x[t] * shorter);
    return square;
}

/* xᵀ·M·x of one vector of length one: products left of the diagonal count twice. */
INLINE double form_of(const float *unit, int64_t width, const float *matrix) {
    double form = 0.0;
    for (int64_t i = 0; i < width; i++) {
        const float *row = matrix + i * width;
        f32x16 one = 0.0f, other = 0.0f;
        int64_t j = 0;
        for (; j + 2 * LANES <= i; j += 2 * LANES) {
            one = fma_f32x16(LOAD(f32x16, row + j), LOAD(f32x16, unit + j), one);
            other = fma_f32x16(LOAD(f32x16, row + j + LANES), LOAD(f32x16, unit + j + LANES), other);
        }
        float total = sum_f32x16(one + other);
        for (; j < i; j++) total = __builtin_elementwise_fma(row[j], unit[j], total);
        form = __builtin_elementwise_fma((double)unit[i], 2.0 * (double)total + (double)row[i] * (double)unit[i], form);
    }
    return form;
}

typedef struct {
    const double *vectors;   /* float64[q, width] */
    const float *matrix;     /* float32[width, width], symmetric */
    double *squares, *forms; /* float64[q], filled */
    float *side;             /* scratch float32[width, 16] */
    int64_t q, width;
} QuadraticForms;

/* ‖x‖² and xᵀ·M·x / ‖x‖² of q vectors. Products left of the diagonal count twice. */
EXPORT int64_t KERNEL(quadratic_forms)(const QuadraticForms *call) {
    const int64_t width = call->width, q = call->q;
    const double *vectors = call->vectors;
    double *squares = call->squares, *forms = call->forms;
    float *side = call->side, below[BLOCK * LANES], within[BLOCK * LANES];
    if (q == 1) {
        squares[0] = square_and_unit(vectors, width, side, 1);
        forms[0] = form_of(side, width, call->matrix);
        return -1;
    }
    for (int64_t start = 0; start < q; start += LANES) {
        const int64_t count = min_i64(LANES, q - start);
        clear(side, width * LANES * (int64_t)sizeof *side);
        for (int64_t vector = 0; vector < count; vector++)
            squares[start + vector] = square_and_unit(vectors + (start + vector) * width, width, side + vector, LANES);
        f64x16 found = 0.0;
        for (int64_t first = 0; first < width; first += BLOCK) {
            const float *rows = call->matrix + first * width;
            const int64_t last = min_i64(first + BLOCK, width);
            if (last - first == BLOCK) {
                multiply_side(BLOCK, rows, width, 0, first, side, below);
                multiply_side(BLOCK, rows, width, first, last, side, within);
            } else
                for (int64_t row = 0; row < last - first; row++) {
                    multiply_side(1, rows + row * width, width, 0, first, side, below + LANES * row);
                    multiply_side(1, rows + row * width, width, first, last, side, within + LANES * row);
                }
            for (int64_t row = 0; row < last - first; row++) {
                f64x16 twice = 2.0 * __builtin_convertvector(LOAD(f32x16, below + LANES * row), f64x16);
                f64x16 once = __builtin_convertvector(LOAD(f32x16, within + LANES * row), f64x16);
                f64x16 x = __builtin_convertvector(LOAD(f32x16, side + (first + row) * LANES), f64x16);
                found = __builtin_elementwise_fma(twice + once, x, found);
            }
        }
        for (int64_t vector = 0; vector < count; vector++) forms[start + vector] = found[vector];
    }
    return -1;
}
