/* Attention over float32 rows and its gradients, for many queries at a time: products in float32, sums over rows in float64.
 *
 * Rows are read in blocks of ROWS, which stay in the L2 cache. Meanwhile those that are needed next are fetched, a few lines
 * before each product:
 *
 *     similarities[row, query]  = keys · queriesᵀ           a row's components are the words of `a`, queries the panel
 *     terms[row, query]         = exp((s − peak) / T)       16 queries to a register
 *     sums[query, component]   += termsᵀ · values           rows are the lines of the panel; in float64 after TOGETHER blocks
 *
 * The way back multiplies values with the queries' gradients, and then shares with keys. The similarities may be those that
 * the way there has left; else they are computed again. */
#include "exponentials.h"
#include "products.h"

enum {
    ROWS = 128, /* rows of a block: two matrices of 128 · 384 floats and the sums of 64 queries are 0.7 MB */
    CHUNK = 64, /* components, or rows, that are added one after the other: it bounds the rounding error */
    TOGETHER = 8 /* blocks whose sums are added in float32: 64 numbers one after the other, then 16 such sums */
};

static const float FLOOR = -60.0f; /* terms below exp(FLOOR) are zeros: far smaller ones would be denormal, and slow */

typedef struct {
    const float *keys, *values; /* float32[·, width] and float32[·, value_width]; the same if values are the keys */
    const int64_t *rows;        /* int64[count], positions of the rows; null: the first `count` */
    const float *factors;       /* float32[count], products are multiplied by them; null: by 1 */
    const float *addends;       /* float32[count], added to products; null: 0 */
    int64_t count, width, value_width;
} Floats;

/* Some queries, their gradients, and what they sum over rows. */
typedef struct {
    const float *queries, *inverse; /* float32[q, width] and 1/T, float32[q] */
    float *peaks;                   /* float32[q], the largest similarity so far; when gradients are pulled, of all rows */
    const float *gradients;         /* float32[q, value_width], of the outputs, to be pulled back; else null */
    const float *levels;            /* float32[q], for gradients; else null */
    double *sums;                   /* float64[q, 2]: Σ term, Σ term · similarity; or [q, 3]: Σ c, Σ c · similarity, Σ |c| */
    double *outputs;                /* float64[q, value_width]: Σ term · value; or [q, width]: Σ c · factor · key */
    float *stored; /* float32[count · q], q rounded up to a multiple of 16: similarities, written or read; or null */
    int64_t q;
    int64_t by_factor; /* whether values are multiplied by the rows' factors */
} Batch;

/* Rows of float32, `stride` numbers apart; without a start, none. */
typedef struct {
    const float *start;
    int64_t stride;
} Matrix;

/* c[: count, : COLUMNS] += a · b. The registers are those of `rows_by_panel`. */
INLINE void add_block(const int count, const float *a, int64_t a_row, int64_t a_step, const float *b, int64_t b_stride,
                      int64_t length, float *c, int64_t c_stride) {
    f32x16 totals[MAX_ROWS][SIDES];
    UNROLLED for (int row = 0; row < count; row++)
        UNROLLED for (int side = 0; side < SIDES; side++) totals[row][side] = 0.0f;
    for (int64_t step = 0; step < length; step++, b += b_stride) {
        f32x16 columns[SIDES];
        UNROLLED for (int side = 0; side < SIDES; side++) columns[side] = LOAD(f32x16, b + LANES * side);
        UNROLLED for (int row = 0; row < count; row++) {
            const f32x16 factor = a[row * a_row + step * a_step];
            UNROLLED for (int side = 0; side < SIDES; side++)
                totals[row][side] = fma_f32x16(factor, columns[side], totals[row][side]);
        }
    }
    UNROLLED for (int row = 0; row < count; row++)
        UNROLLED for (int side = 0; side < SIDES; side++) {
            float *into = c + row * c_stride + LANES * side;
            STORE(into, LOAD(f32x16, into) + totals[row][side]);
        }
}

typedef void Along(const float *, int64_t, const float *, int64_t, int64_t, float *, int64_t);

/* ACROSS: `a` is rows of numbers side by side, `stride` apart. DOWN: it is columns of numbers, `stride` apart. */
#define BOTH(unused, count)                                                                                            \
    OUTLINED void across_##count(const float *a, int64_t stride, const float *b, int64_t b_stride, int64_t length,     \
                                 float *c, int64_t c_stride) {                                                         \
        add_block(count, a, stride, 1, b, b_stride, length, c, c_stride);                                              \
    }                                                                                                                  \
    OUTLINED void down_##count(const float *a, int64_t stride, const float *b, int64_t b_stride, int64_t length,       \
                               float *c, int64_t c_stride) {                                                           \
        add_block(count, a, 1, stride, b, b_stride, length, c, c_stride);                                              \
    }
UP_TO_MAX(BOTH, )
#define ACROSS(unused, count) across_##count,
#define DOWN(unused, count) down_##count,
static Along *const ALONG_ROWS[MAX_ROWS] = {UP_TO_MAX(ACROSS, )}, *const ALONG_COLUMNS[MAX_ROWS] = {UP_TO_MAX(DOWN, )};

/* Fetch `width` components of every `apart`-th row, from the row `from` to `count`, into the cache. */
INLINE void fetch(Matrix rows, int64_t from, int64_t count, int64_t apart, int64_t column, int64_t width) {
    if (rows.start)
        for (int64_t row = from; row < count; row += apart)
            for (int64_t i = 0; i < width; i += LANES) __builtin_prefetch(rows.start + row * rows.stride + column + i, 0, 3);
}

/* into[count, queries] = rows[count, width] · panels, `queries` a multiple of COLUMNS; width in chunks, whose sums are added.
 * `next`: rows to be fetched meanwhile. */
OUTLINED void multiply_queries(Matrix rows, Matrix next, int64_t count, int64_t width, const float *panels, int64_t queries,
                               float *into) {
    clear(into, count * queries * (int64_t)sizeof *into);
    /* A chunk of all queries stays in the L1 cache while all rows are multiplied with it. */
    for (int64_t begin = 0; begin < width; begin += CHUNK)
        for (int64_t first = 0; first < count;) {
            const int64_t left = count - first, some = blocks_of(left, blocks_of(left, MAX_ROWS));
            for (int64_t panel = 0; panel < queries; panel += COLUMNS) {
                fetch(next, first + panel / COLUMNS, first + some, queries / COLUMNS, begin, CHUNK);
                ALONG_ROWS[some - 1](rows.start + first * rows.stride + begin, rows.stride,
                                     panels + panel * width + begin * COLUMNS, COLUMNS, min_i64(CHUNK, width - begin),
                                     into + first * queries + panel, queries);
            }
            first += some;
        }
}

/* sums[q, width] += sharesᵀ · rows, for shares[count, queries] and rows of `width` numbers, a multiple of COLUMNS. A block of
 * queries whose shares are all zeros is left out; `live` has a flag for each 16 queries. `next`: as above. */
OUTLINED void add_shares(const float *shares, int64_t queries, int64_t q, const int32_t *live, Matrix rows, Matrix next,
                         int64_t count, int64_t width, float *panel, float *sums) {
    const int64_t products = blocks_of(q, MAX_ROWS);
    for (int64_t column = 0; column < width; column += COLUMNS)
        /* A chunk of rows, and their shares, stay in the L1 cache. */
        for (int64_t begin = 0; begin < count; begin += CHUNK) {
            const int64_t length = min_i64(CHUNK, count - begin);
            for (int64_t row = 0; row < length; row++)
                UNROLLED for (int side = 0; side < SIDES; side++)
                    STORE(panel + row * COLUMNS + LANES * side,
                          LOAD(f32x16, rows.start + (begin + row) * rows.stride + column + LANES * side));
            for (int64_t first = 0, product = 0; first < q; product++) {
                const int64_t left = q - first, some = blocks_of(left, blocks_of(left, MAX_ROWS));
                fetch(next, begin + product, begin + length, products, column, COLUMNS);
                if (live[first / LANES] || live[(first + some - 1) / LANES])
                    ALONG_COLUMNS[some - 1](shares + begin * queries + first, queries, panel, COLUMNS, length,
                                            sums + first * width + column, width);
                first += some;
            }
        }
}

/* outputs float64[q, width] += sums float32[q, stride], which become zeros. */
OUTLINED void settle(float *sums, int64_t q, int64_t stride, int64_t width, double *outputs) {
    for (int64_t query = 0; query < q; query++)
        for (int64_t i = 0; i < width; i++) outputs[query * width + i] += (double)sums[query * stride + i];
    clear(sums, q * stride * (int64_t)sizeof *sums);
}

/* Write queries float32[q, width] as panels of COLUMNS queries, zeros after the last one. */
static void write_panels(const float *queries, int64_t q, int64_t padded, int64_t width, float *panels) {
    for (int64_t panel = 0; panel < padded; panel += COLUMNS)
        for (int64_t i = 0; i < width; i++)
            for (int64_t query = panel; query < panel + COLUMNS; query++)
                *panels++ = query < q ? queries[query * width + i] : 0.0f;
}

/* Rows `first` to `first + count` as they lie, or copied side by side if they are scattered or would be read beyond the end. */
static Matrix rows_of(const float *all, int64_t width, const int64_t *rows, int64_t first, int64_t count, float *room) {
    const int64_t stride = rounded_up(width, COLUMNS);
    if (!rows && stride == width) return (Matrix){all + first * width, width};
    for (int64_t row = 0; row < count; row++) {
        copy(room + row * stride, all + (rows ? rows[first + row] : first + row) * width, width * (int64_t)sizeof *all);
        for (int64_t i = width; i < stride; i++) room[row * stride + i] = 0.0f;
    }
    return (Matrix){room, stride};
}

/* The block after one, if rows are read as they lie. */
INLINE Matrix after(Matrix rows, const float *room) {
    return rows.start == room ? (Matrix){0} : (Matrix){rows.start + ROWS * rows.stride, rows.stride};
}

/* Scratch memory of one call. */
typedef struct {
    int64_t padded; /* the number of queries, rounded up */
    float *queries, *gradients, *similarities, *products, *keys, *values, *sums, *panel, *inverse, *peaks, *levels;
    int32_t *live;
    int64_t size; /* of all, in bytes */
} Space;

static Space space_of(const Floats *of, int64_t q, float *from) {
    Space space = {.padded = rounded_up(q, COLUMNS)};
    const int64_t padded = space.padded, key = rounded_up(of->width, COLUMNS), value = rounded_up(of->value_width, COLUMNS);
    float *next = from;
#define TAKE(name, count) space.name = next, next += rounded_up(count, LANES)
    TAKE(queries, padded * of->width);
    TAKE(gradients, padded * of->value_width);
    TAKE(similarities, ROWS * padded);
    TAKE(products, ROWS * padded);
    TAKE(keys, ROWS * key);
    TAKE(values, ROWS * value);
    TAKE(sums, q * max_i64(key, value));
    TAKE(panel, CHUNK * COLUMNS);
    TAKE(inverse, padded);
    TAKE(peaks, padded);
    TAKE(levels, padded);
#undef TAKE
    space.live = (int32_t *)next;
    space.size = (next - from + rounded_up(padded, LANES)) * (int64_t)sizeof *from;
    return space;
}

/* The bytes of scratch memory that the functions below need. */
EXPORT int64_t KERNEL(gradients_scratch)(const Floats *of, int64_t q) {
    static float origin[1];
    return space_of(of, q, origin).size;
}

static void pad(const float *from, int64_t q, int64_t padded, float *into) {
    copy(into, from, q * (int64_t)sizeof *from);
    for (int64_t i = q; i < padded; i++) into[i] = 0.0f;
}

/* The similarity of 16 queries and a row, of their products. */
INLINE f32x16 similarity_of(const Floats *of, int64_t row, f32x16 product) {
    if (of->factors) product *= of->factors[row];
    return of->addends ? product + of->addends[row] : product;
}

INLINE f32x16 term_of(f32x16 similarity, f32x16 peak, f32x16 inverse) {
    const f32x16 below = (similarity - peak) * inverse;
    return below > FLOOR ? exponential(max_f32x16(below, FLOOR)) : (f32x16)0.0f;
}

INLINE void add_to(double *sums, int64_t apart, int64_t q, f32x16 lanes) {
    for (int64_t lane = 0; lane < min_i64(LANES, q); lane++) sums[lane * apart] += (double)lanes[lane];
}

/* Blend the values of some rows: add their softmax terms to the sums and outputs of a batch.
 *
 * All terms are relative to the peak, and scaled anew if it rises. */
EXPORT void KERNEL(blend_rows)(const Floats *of, const Batch *batch, float *scratch) {
    const int64_t q = batch->q;
    float *peaks = batch->peaks, *stored = batch->stored;
    double *sums = batch->sums, *outputs = batch->outputs;
    const Space space = space_of(of, q, scratch);
    const int64_t padded = space.padded, lanes = rounded_up(q, LANES), stride = rounded_up(of->value_width, COLUMNS);
    const int64_t same = of->values == of->keys;
    write_panels(batch->queries, q, padded, of->width, space.queries);
    pad(batch->inverse, q, padded, space.inverse);
    pad(peaks, q, padded, space.peaks);
    clear(space.sums, q * stride * (int64_t)sizeof *space.sums);
    for (int64_t first = 0, blocks = 0; first < of->count; first += ROWS) {
        const int64_t count = min_i64(ROWS, of->count - first);
        float *similarities = space.similarities;
        const Matrix keys = rows_of(of->keys, of->width, of->rows, first, count, space.keys);
        Matrix values = keys;
        if (!same) values = rows_of(of->values, of->value_width, of->rows, first, count, space.values);
        multiply_queries(keys, same ? (Matrix){0} : values, count, of->width, space.queries, padded, similarities);
        for (int64_t query = 0; query < q; query += LANES) {
            const f32x16 before = LOAD(f32x16, space.peaks + query), scale = LOAD(f32x16, space.inverse + query);
            f32x16 peak = before;
            for (int64_t row = 0; row < count; row++) {
                float *at = similarities + row * padded + query;
                const f32x16 similarity = similarity_of(of, first + row, LOAD(f32x16, at));
                STORE(at, similarity);
                if (stored) STORE(stored + first * lanes + query * count + row * LANES, similarity);
                peak = max_f32x16(similarity, peak);
            }
            STORE(space.peaks + query, peak);
            if (blocks && any(peak > before)) settle(space.sums, q, stride, of->value_width, outputs), blocks = 0;
            for (int64_t lane = 0; lane < min_i64(LANES, q - query); lane++)
                if (peak[lane] > before[lane]) {
                    const double gap = ((double)before[lane] - (double)peak[lane]) * (double)scale[lane];
                    const double shrink = exponential_of(gap);
                    double *of_query = outputs + (query + lane) * of->value_width;
                    sums[2 * (query + lane)] *= shrink, sums[2 * (query + lane) + 1] *= shrink;
                    for (int64_t i = 0; i < of->value_width; i++) of_query[i] *= shrink;
                }
            f32x16 mass = 0.0f, moment = 0.0f;
            for (int64_t row = 0; row < count; row++) {
                const int64_t at = row * padded + query;
                const f32x16 similarity = LOAD(f32x16, similarities + at), term = term_of(similarity, peak, scale);
                mass += term, moment = fma_f32x16(term, similarity, moment);
                STORE(similarities + at, batch->by_factor && of->factors ? term * of->factors[first + row] : term);
            }
            space.live[query / LANES] = any(mass != 0.0f);
            add_to(sums + 2 * query, 2, q - query, mass);
            add_to(sums + 2 * query + 1, 2, q - query, moment);
        }
        if (of->value_width == 0) continue;
        add_shares(similarities, padded, q, space.live, values, after(keys, space.keys), count, stride, space.panel, space.sums);
        if (++blocks == TOGETHER) settle(space.sums, q, stride, of->value_width, outputs), blocks = 0;
    }
    settle(space.sums, q, stride, of->value_width, outputs);
    copy(peaks, space.peaks, q * (int64_t)sizeof *peaks);
}

/* Pull gradients of outputs back to the queries. The share of a row is c = term · (gradient · value − level). */
EXPORT void KERNEL(pull_rows)(const Floats *of, const Batch *batch, float *scratch) {
    const int64_t q = batch->q;
    const float *stored = batch->stored;
    double *sums = batch->sums, *outputs = batch->outputs;
    const Space space = space_of(of, q, scratch);
    const int64_t padded = space.padded, lanes = rounded_up(q, LANES), stride = rounded_up(of->width, COLUMNS);
    const int64_t same = of->values == of->keys;
    write_panels(batch->queries, q, padded, of->width, space.queries);
    write_panels(batch->gradients, q, padded, of->value_width, space.gradients);
    pad(batch->inverse, q, padded, space.inverse);
    pad(batch->peaks, q, padded, space.peaks);
    pad(batch->levels, q, padded, space.levels);
    clear(space.sums, q * stride * (int64_t)sizeof *space.sums);
    for (int64_t first = 0, blocks = 0; first < of->count; first += ROWS) {
        const int64_t count = min_i64(ROWS, of->count - first);
        float *shares = space.products;
        const Matrix keys = rows_of(of->keys, of->width, of->rows, first, count, space.keys);
        Matrix values = keys;
        if (!same) values = rows_of(of->values, of->value_width, of->rows, first, count, space.values);
        const Matrix unfetched = same ? (Matrix){0} : keys;
        if (!stored) multiply_queries(keys, (Matrix){0}, count, of->width, space.queries, padded, space.similarities);
        multiply_queries(values, stored ? unfetched : (Matrix){0}, count, of->value_width, space.gradients, padded, shares);
        for (int64_t query = 0; query < q; query += LANES) {
            const f32x16 peak = LOAD(f32x16, space.peaks + query), scale = LOAD(f32x16, space.inverse + query);
            const f32x16 level = LOAD(f32x16, space.levels + query);
            f32x16 total = 0.0f, moment = 0.0f, spread = 0.0f;
            for (int64_t row = 0; row < count; row++) {
                const int64_t at = row * padded + query;
                const f32x16 similarity = stored ? LOAD(f32x16, stored + first * lanes + query * count + row * LANES)
                                              : similarity_of(of, first + row, LOAD(f32x16, space.similarities + at));
                const f32x16 share = term_of(similarity, peak, scale) * (LOAD(f32x16, shares + at) - level);
                total += share, moment = fma_f32x16(share, similarity, moment);
                spread += __builtin_elementwise_abs(share);
                STORE(shares + at, of->factors ? share * of->factors[first + row] : share);
            }
            space.live[query / LANES] = any(spread != 0.0f); /* NaN counts */
            add_to(sums + 3 * query, 3, q - query, total);
            add_to(sums + 3 * query + 1, 3, q - query, moment);
            add_to(sums + 3 * query + 2, 3, q - query, spread);
        }
        const Matrix next = stored ? after(values, space.values) : after(keys, space.keys);
        add_shares(shares, padded, q, space.live, keys, next, count, stride, space.panel, space.sums);
        if (++blocks == TOGETHER) settle(space.sums, q, stride, of->width, outputs), blocks = 0;
    }
    settle(space.sums, q, stride, of->width, outputs);
}
