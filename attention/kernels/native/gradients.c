/* Attention over float32 rows and its gradients, for many queries at a time: products in float32, sums over rows in float64.
 *
 * Rows are read in blocks of ROWS, which stay in the L2 cache:
 *
 *     similarities[row, query]  = keys · queriesᵀ           a row's components are the words of `a`, queries the panel
 *     terms[row, query]         = exp((s − peak) / T)       16 queries to a register
 *     outputs[query, component] += termsᵀ · values          rows are the lines of the panel: they are read as they lie
 *
 * The way back multiplies values with the queries' gradients as well, and then shares with keys. */
#include "exponentials.h"
#include "products.h"

enum {
    ROWS = 128, /* rows of a block: two matrices of 128 · 384 floats and the sums of 64 queries are 0.7 MB */
    CHUNK = 64  /* components, or rows, that are added one after the other: it bounds the rounding error */
};

static const float FLOOR = -60.0f; /* terms below exp(FLOOR) are zeros: far smaller ones would be denormal, and slow */

typedef struct {
    const float *keys, *values; /* float32[·, width] and float32[·, value_width]; the same if values are the keys */
    const int64_t *rows;        /* int64[count], positions of the rows; null: the first `count` */
    const float *factors;       /* float32[count], products are multiplied by them; null: by 1 */
    const float *addends;       /* float32[count], added to products; null: 0 */
    int64_t count, width, value_width;
} Floats;

/* c[: count, : COLUMNS] += a · b. The registers are those of `rows_by_panel`. */
INLINE void add_block(const int count, const float *a, int64_t a_row, int64_t a_step, const float *b, int64_t b_stride,
                      int64_t length, float *c, int64_t c_stride) {
    reals totals[MOST][SIDES];
    UNROLLED for (int row = 0; row < count; row++)
        UNROLLED for (int side = 0; side < SIDES; side++) totals[row][side] = 0.0f;
    for (int64_t step = 0; step < length; step++, b += b_stride) {
        reals columns[SIDES];
        UNROLLED for (int side = 0; side < SIDES; side++) columns[side] = LOAD(reals, b + LANES * side);
        UNROLLED for (int row = 0; row < count; row++) {
            const reals factor = a[row * a_row + step * a_step];
            UNROLLED for (int side = 0; side < SIDES; side++)
                totals[row][side] = multiply_add(factor, columns[side], totals[row][side]);
        }
    }
    UNROLLED for (int row = 0; row < count; row++)
        UNROLLED for (int side = 0; side < SIDES; side++) {
            float *into = c + row * c_stride + LANES * side;
            STORE(into, LOAD(reals, into) + totals[row][side]);
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
UP_TO_MOST(BOTH, )
#define ACROSS(unused, count) across_##count,
#define DOWN(unused, count) down_##count,
static Along *const ALONG_ROWS[MOST] = {UP_TO_MOST(ACROSS, )}, *const ALONG_COLUMNS[MOST] = {UP_TO_MOST(DOWN, )};

/* into[count, queries] = rows[count, width] · panels, `queries` a multiple of COLUMNS; width in chunks, whose sums are added. */
OUTLINED void multiply_queries(const float *rows, int64_t stride, int64_t count, int64_t width, const float *panels,
                               int64_t queries, float *into) {
    clear(into, count * queries * (int64_t)sizeof *into);
    /* A chunk of all queries stays in the L1 cache while all rows are multiplied with it. */
    for (int64_t begin = 0; begin < width; begin += CHUNK)
        for (int64_t first = 0; first < count;) {
            const int64_t left = count - first, some = blocks_of(left, blocks_of(left, MOST));
            for (int64_t panel = 0; panel < queries; panel += COLUMNS)
                ALONG_ROWS[some - 1](rows + first * stride + begin, stride, panels + panel * width + begin * COLUMNS, COLUMNS,
                                     least(CHUNK, width - begin), into + first * queries + panel, queries);
            first += some;
        }
}

/* outputs float64[q, width] += sharesᵀ · rows, for shares[count, queries] and rows of `stride` numbers, a multiple of COLUMNS.
 * A block of queries whose shares are all zeros is left out; `live` has a flag for each 16 queries. Meanwhile the rows of the
 * next block are fetched into the L2 cache: those after `rows`, and those after `others`, as far as they lie so. */
OUTLINED void add_shares(const float *shares, int64_t queries, int64_t q, const int32_t *live, const float *rows,
                         const float *others, int64_t stride, int64_t count, int64_t width, float *block, float *panel,
                         double *outputs) {
    for (int64_t column = 0; column < width; column += COLUMNS) {
        const int64_t columns = least(COLUMNS, width - column);
        for (int64_t row = 0; row < count; row++)
            UNROLLED for (int side = 0; side < SIDES; side++) {
                const int64_t offset = row * stride + column + LANES * side;
                STORE(panel + row * COLUMNS + LANES * side, LOAD(reals, rows + offset));
                __builtin_prefetch(rows + count * stride + offset, 0, 2);
                __builtin_prefetch(others + count * stride + offset, 0, 2);
            }
        for (int64_t first = 0; first < q;) {
            const int64_t left = q - first, some = blocks_of(left, blocks_of(left, MOST));
            if (live[first / LANES] || live[(first + some - 1) / LANES]) {
                clear(block, some * COLUMNS * (int64_t)sizeof *block);
                for (int64_t row = 0; row < count; row += CHUNK)
                    ALONG_COLUMNS[some - 1](shares + row * queries + first, queries, panel + row * COLUMNS, COLUMNS,
                                            least(CHUNK, count - row), block, COLUMNS);
                for (int64_t query = 0; query < some; query++) {
                    double *into = outputs + (first + query) * width + column;
                    const float *from = block + query * COLUMNS;
                    if (columns == COLUMNS)
                        UNROLLED for (int side = 0; side < SIDES; side++)
                            STORE(into + LANES * side, LOAD(doubles, into + LANES * side)
                                                           + __builtin_convertvector(LOAD(reals, from + LANES * side), doubles));
                    else
                        for (int64_t i = 0; i < columns; i++) into[i] += (double)from[i];
                }
            }
            first += some;
        }
    }
}

/* Write queries float32[q, width] as panels of COLUMNS queries, zeros after the last one. */
static void write_panels(const float *queries, int64_t q, int64_t padded, int64_t width, float *panels) {
    for (int64_t panel = 0; panel < padded; panel += COLUMNS)
        for (int64_t i = 0; i < width; i++)
            for (int64_t query = panel; query < panel + COLUMNS; query++)
                *panels++ = query < q ? queries[query * width + i] : 0.0f;
}

/* Rows `first` to `first + count` as they lie, or copied side by side if they are scattered or would be read beyond the end. */
static const float *rows_of(const float *all, int64_t width, const int64_t *rows, int64_t first, int64_t count,
                            float *room, int64_t *stride) {
    *stride = rounded_up(width, COLUMNS);
    if (!rows && *stride == width) return all + first * width;
    for (int64_t row = 0; row < count; row++) {
        copy(room + row * *stride, all + (rows ? rows[first + row] : first + row) * width, width * (int64_t)sizeof *all);
        for (int64_t i = width; i < *stride; i++) room[row * *stride + i] = 0.0f;
    }
    return room;
}

/* Scratch memory of one call. */
typedef struct {
    int64_t padded; /* the number of queries, rounded up */
    float *queries, *gradients, *similarities, *products, *keys, *values, *block, *panel, *inverse, *peaks, *levels;
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
    TAKE(block, MOST * COLUMNS);
    TAKE(panel, ROWS * COLUMNS);
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
INLINE reals similarity_of(const Floats *of, int64_t row, reals product) {
    if (of->factors) product *= of->factors[row];
    return of->addends ? product + of->addends[row] : product;
}

INLINE reals term_of(reals similarity, reals peak, reals inverse) {
    const reals below = (similarity - peak) * inverse;
    return below > FLOOR ? exponential(at_least(below, FLOOR)) : (reals)0.0f;
}

INLINE void add_to(double *sums, int64_t apart, int64_t q, reals lanes) {
    for (int64_t lane = 0; lane < least(LANES, q); lane++) sums[lane * apart] += (double)lanes[lane];
}

/* Blend the values of some rows, for queries float32[q, width] and 1/T float32[q].
 *
 * peaks: float32[q], the largest similarity so far; sums: float64[q, 2], Σ term and Σ term · similarity; outputs: float64[q,
 * value_width], Σ term · value. All terms are relative to the peak, and scaled anew if it rises. If `by_factor`, values are
 * multiplied by the rows' factors. */
EXPORT void KERNEL(blend_rows)(const Floats *of, const float *queries, const float *inverse, int64_t q, int64_t by_factor,
                               float *peaks, double *sums, double *outputs, float *scratch) {
    const Space space = space_of(of, q, scratch);
    const int64_t padded = space.padded, same = of->values == of->keys;
    write_panels(queries, q, padded, of->width, space.queries);
    pad(inverse, q, padded, space.inverse);
    pad(peaks, q, padded, space.peaks);
    for (int64_t first = 0; first < of->count; first += ROWS) {
        const int64_t count = least(ROWS, of->count - first);
        int64_t key_stride, value_stride;
        const float *keys = rows_of(of->keys, of->width, of->rows, first, count, space.keys, &key_stride);
        multiply_queries(keys, key_stride, count, of->width, space.queries, padded, space.similarities);
        for (int64_t query = 0; query < q; query += LANES) {
            float *column = space.similarities + query;
            const reals before = LOAD(reals, space.peaks + query), scale = LOAD(reals, space.inverse + query);
            reals peak = before;
            for (int64_t row = 0; row < count; row++) {
                const reals similarity = similarity_of(of, first + row, LOAD(reals, column + row * padded));
                STORE(column + row * padded, similarity);
                peak = at_least(similarity, peak);
            }
            STORE(space.peaks + query, peak);
            for (int64_t lane = 0; lane < least(LANES, q - query); lane++)
                if (peak[lane] > before[lane]) {
                    const double gap = ((double)before[lane] - (double)peak[lane]) * (double)scale[lane];
                    const double shrink = exponential_of(gap);
                    double *of_query = outputs + (query + lane) * of->value_width;
                    sums[2 * (query + lane)] *= shrink, sums[2 * (query + lane) + 1] *= shrink;
                    for (int64_t i = 0; i < of->value_width; i++) of_query[i] *= shrink;
                }
            reals mass = 0.0f, moment = 0.0f;
            for (int64_t row = 0; row < count; row++) {
                const reals similarity = LOAD(reals, column + row * padded), term = term_of(similarity, peak, scale);
                mass += term, moment = multiply_add(term, similarity, moment);
                STORE(column + row * padded, by_factor && of->factors ? term * of->factors[first + row] : term);
            }
            space.live[query / LANES] = any(mass != 0.0f);
            add_to(sums + 2 * query, 2, q - query, mass);
            add_to(sums + 2 * query + 1, 2, q - query, moment);
        }
        if (of->value_width == 0) continue;
        const float *values = keys;
        value_stride = key_stride;
        if (!same) values = rows_of(of->values, of->value_width, of->rows, first, count, space.values, &value_stride);
        add_shares(space.similarities, padded, q, space.live, values, keys, value_stride, count, of->value_width,
                   space.block, space.panel, outputs);
    }
    copy(peaks, space.peaks, q * (int64_t)sizeof *peaks);
}

/* Pull gradients float32[q, value_width] of outputs back to the queries; peaks float32[q] are those of `blend_rows`.
 *
 * The share of a row is c = term · (gradient · value − level), levels float32[q]. sums: float64[q, 3], Σ c, Σ c · similarity and
 * Σ |c|; outputs: float64[q, width], Σ c · factor · key. */
EXPORT void KERNEL(pull_rows)(const Floats *of, const float *queries, const float *inverse, int64_t q, const float *peaks,
                              const float *gradients, const float *levels, double *sums, double *outputs,
                              float *scratch) {
    const Space space = space_of(of, q, scratch);
    const int64_t padded = space.padded, same = of->values == of->keys;
    write_panels(queries, q, padded, of->width, space.queries);
    write_panels(gradients, q, padded, of->value_width, space.gradients);
    pad(inverse, q, padded, space.inverse);
    pad(peaks, q, padded, space.peaks);
    pad(levels, q, padded, space.levels);
    for (int64_t first = 0; first < of->count; first += ROWS) {
        const int64_t count = least(ROWS, of->count - first);
        int64_t key_stride, value_stride;
        const float *keys = rows_of(of->keys, of->width, of->rows, first, count, space.keys, &key_stride), *values = keys;
        value_stride = key_stride;
        if (!same) values = rows_of(of->values, of->value_width, of->rows, first, count, space.values, &value_stride);
        multiply_queries(keys, key_stride, count, of->width, space.queries, padded, space.similarities);
        multiply_queries(values, value_stride, count, of->value_width, space.gradients, padded, space.products);
        for (int64_t query = 0; query < q; query += LANES) {
            float *column = space.similarities + query;
            const reals peak = LOAD(reals, space.peaks + query), scale = LOAD(reals, space.inverse + query);
            const reals level = LOAD(reals, space.levels + query);
            reals total = 0.0f, moment = 0.0f, spread = 0.0f;
            for (int64_t row = 0; row < count; row++) {
                const reals similarity = similarity_of(of, first + row, LOAD(reals, column + row * padded));
                const reals gradient = LOAD(reals, space.products + row * padded + query) - level;
                const reals share = term_of(similarity, peak, scale) * gradient;
                total += share, moment = multiply_add(share, similarity, moment);
                spread += __builtin_elementwise_abs(share);
                STORE(column + row * padded, of->factors ? share * of->factors[first + row] : share);
            }
            space.live[query / LANES] = any(spread != 0.0f); /* NaN counts */
            add_to(sums + 3 * query, 3, q - query, total);
            add_to(sums + 3 * query + 1, 3, q - query, moment);
            add_to(sums + 3 * query + 2, 3, q - query, spread);
        }
        add_shares(space.similarities, padded, q, space.live, keys, values, key_stride, count, of->width, space.block,
                   space.panel, outputs);
    }
}
