/* Products of queries with float32 rows, and weighted sums of such rows, in float64. */
#pragma once
#include "lanes.h"

enum { EIGHT = 8 };

INLINE f64x8 to_f64x8(const float *from) { return __builtin_convertvector(LOAD(f32x8, from), f64x8); }
INLINE f64x8 fma_f64x8(f64x8 a, f64x8 b, f64x8 total) { return __builtin_elementwise_fma(a, b, total); }

/* Rows lie far apart, so the hardware cannot foresee the next one. */
INLINE void fetch_row(const float *row, int64_t width) {
    for (int64_t i = 0; i < width; i += LINE / (int64_t)sizeof *row) __builtin_prefetch(row + i, 0, 3);
}

/* Row `index` of those that `rows` lists; of all rows if it is null. */
INLINE const float *row_of(const float *vectors, int64_t width, const int64_t *rows, int64_t index) {
    return vectors + (rows ? rows[index] : index) * width;
}

/* The dot products of at most four rows and some queries, float64[·, width]: into float64[queries, rows]. Each is summed in
 * the same order, which depends on the width alone: eight sums of every eighth component, added in pairs, then the
 * components after the last eight. Two rows and three queries fill 16 registers of AVX2. */
INLINE void multiply_rows(const int count, const int queries, const float *const *rows, const double *query,
                          int64_t width, double *into) {
    f64x8 totals[6] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    int64_t t = 0;
    for (; t + EIGHT <= width; t += EIGHT) {
        f64x8 keys[4];
        UNROLLED for (int row = 0; row < count; row++) keys[row] = to_f64x8(rows[row] + t);
        UNROLLED for (int of = 0; of < queries; of++) {
            const f64x8 components = LOAD(f64x8, query + of * width + t);
            UNROLLED for (int row = 0; row < count; row++)
                totals[of * count + row] = fma_f64x8(keys[row], components, totals[of * count + row]);
        }
    }
    UNROLLED for (int of = 0; of < queries; of++) UNROLLED for (int row = 0; row < count; row++) {
        double total = sum_f64x8(totals[of * count + row]);
        for (int64_t i = t; i < width; i++) total = __builtin_elementwise_fma((double)rows[row][i], query[of * width + i], total);
        into[of * count + row] = total;
    }
}

enum { TOGETHER = 8 }; /* rows that stay in the L1 cache while all queries are multiplied with them */

/* Fill `products` with the dot product of every query float64[q, width] and each of m rows; those of a query begin
 * `stride` numbers after those of the one before. */
INLINE void fill_products(const float *vectors, int64_t width, const int64_t *rows, int64_t m, const double *queries,
                          int64_t q, double *products, int64_t stride) {
    for (int64_t first = 0; first < m; first += TOGETHER) {
        const int64_t count = min_i64(TOGETHER, m - first);
        const float *of[TOGETHER];
        double found[6];
        for (int64_t i = 0; i < TOGETHER; i++) of[i] = row_of(vectors, width, rows, first + min_i64(i, count - 1));
        for (int64_t ahead = first + TOGETHER; ahead < min_i64(first + 2 * TOGETHER, m); ahead++)
            fetch_row(row_of(vectors, width, rows, ahead), width);
        int64_t query = 0;
        for (; query + 3 <= q; query += 3)
            for (int64_t row = 0; row < count; row += 2) {
                multiply_rows(2, 3, of + row, queries + query * width, width, found);
                for (int64_t i = 0; i < 3; i++) {
                    double *into = products + (query + i) * stride + first + row;
                    into[0] = found[2 * i];
                    if (row + 1 < count) into[1] = found[2 * i + 1];
                }
            }
        for (; query < q; query++)
            for (int64_t row = 0; row < count; row += 4) {
                multiply_rows(4, 1, of + row, queries + query * width, width, found);
                for (int64_t i = 0; i < min_i64(4, count - row); i++) products[query * stride + first + row + i] = found[i];
            }
    }
}
