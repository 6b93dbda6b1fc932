/* Passes over the 8-bit codes of keys. A pass turns products of bytes into similarities, 64 rows at a time, lists the rows
 * that reach a query's threshold, and sums the others: in float32 within the 64 rows, in float64 across them. */
#include "dot.h"
#include "keys.h"

static const float NOT_ALLOWED = -2e38f; /* above FAR_BELOW, and below every similarity */
static const float MIN_LOGIT = -87.0f;   /* the logarithm of the smallest normal float32 */

enum { AT_ONCE = 64 }; /* lines that are multiplied before their products are used: 16 kB of products stay in the L1 cache */

/* A factor and a term of each of 64 rows: similarity = product · factor · step + term. A row that is not allowed, or lies
 * behind the last one, has the factor 0 and the term FAR_BELOW. */
typedef struct {
    float factors[PANEL], terms[PANEL];
} Scaling;

/* Fill `scaling` for 64 rows from `first` on. Return whether any of them is allowed. */
INLINE int scale_and_mask(const Keys *keys, int64_t first, Scaling *scaling) {
    if (first + PANEL <= keys->rows) {
        i32x16 some = 0;
        UNROLLED for (int lane = 0; lane < PANEL; lane += LANES) {
            i32x16 allowed = __builtin_convertvector(LOAD(i8x16, keys->allowed + first + lane), i32x16) != 0;
            STORE(scaling->factors + lane, allowed ? LOAD(f32x16, keys->scales + first + lane) : (f32x16)0.0f);
            STORE(scaling->terms + lane, allowed ? (f32x16)0.0f : (f32x16)FAR_BELOW);
            some |= allowed;
        }
        return any(some);
    }
    int found = 0;
    for (int64_t i = 0; i < PANEL; i++) {
        const int allowed = first + i < keys->rows && keys->allowed[first + i];
        scaling->factors[i] = allowed ? keys->scales[first + i] : 0.0f;
        scaling->terms[i] = allowed ? 0.0f : FAR_BELOW;
        found |= allowed;
    }
    return found;
}

INLINE void add_addends(const Keys *keys, int64_t first, Scaling *scaling) {
    const int64_t count = min_i64(PANEL, keys->rows - first);
    for (int64_t i = 0; i < count; i++) scaling->terms[i] += keys->addends[first + i];
}

/* Fill `scaling` for 64 rows from `first` on, addends included. Return whether any row is allowed. */
INLINE int prepare_panel(const Keys *keys, int64_t first, Scaling *scaling) {
    if (!scale_and_mask(keys, first, scaling)) return 0;
    if (keys->addends) add_addends(keys, first, scaling);
    return 1;
}

/* The products of 64 rows with the queries from `query` on, as many as fit. Return the query after the last. */
INLINE int64_t multiply_panel(const Keys *keys, const Queries *queries, int64_t first, int64_t query, int32_t *products) {
    const int64_t line = query * queries->each, lines = min_i64(AT_ONCE, queries->lines - line);
    byte_products(keys->codes, first / LANES, queries->planes + line * keys->length * PLANE_WORDS, lines, keys->length,
                  products);
    return min_i64(query + AT_ONCE / queries->each, queries->count);
}

/* Similarities float32[64] of a query with 64 rows, from the products of its lines. */
INLINE void to_similarities(const int32_t *products, const Queries *queries, int64_t query, const Scaling *scaling,
                            float *similarities) {
    const int32_t *high = products;
    const int32_t *low = high + (queries->each - 1) * PANEL;
    const int32_t offset = queries->offsets[query];
    const float step = queries->steps[query];
    UNROLLED for (int lane = 0; lane < PANEL; lane += LANES) {
        i32x16 product = LOAD(i32x16, low + lane) - offset;
        if (queries->each == 2) product += LOAD(i32x16, high + lane) << 8;
        f32x16 scale = LOAD(f32x16, scaling->factors + lane) * step;
        STORE(similarities + lane, fma_f32x16(to_f32x16(product), scale, LOAD(f32x16, scaling->terms + lane)));
    }
}

typedef struct {
    float mass, gap, square; /* Σe, Σe·x, Σe² */
    int listed;              /* whether a similarity reaches the threshold */
} Terms;

/* The softmax terms e = exp(x), x = (s − threshold) · inverse, of 64 similarities s, and their sums. A row that reaches
 * the threshold or is not allowed has the term 0. */
INLINE Terms terms_of(const float *similarities, float threshold, float inverse, float *terms) {
    f32x16 x[GROUPS], e[GROUPS];
    i32x16 listed = 0;
    UNROLLED for (int group = 0; group < GROUPS; group++) {
        f32x16 s = LOAD(f32x16, similarities + LANES * group);
        x[group] = max_f32x16(min_f32x16((s - threshold) * inverse, 0.0f), MIN_LOGIT);
        e[group] = ((s < threshold) & (s > NOT_ALLOWED)) ? exponential(x[group]) : (f32x16)0.0f;
        STORE(terms + LANES * group, e[group]);
        listed |= s >= threshold;
    }
    return (Terms){
        sum_f32x16((e[0] + e[1]) + (e[2] + e[3])),
        sum_f32x16(fma_f32x16(e[0], x[0], e[1] * x[1]) + fma_f32x16(e[2], x[2], e[3] * x[3])),
        sum_f32x16(fma_f32x16(e[0], e[0], e[1] * e[1]) + fma_f32x16(e[2], e[2], e[3] * e[3])),
        any(listed),
    };
}

/* Append those of 64 rows that reach the query's threshold to its list. */
INLINE void list_panel(const Lists *lists, int64_t query, const float *similarities, int64_t base) {
    const float threshold = lists->thresholds[query];
    int64_t used = lists->counts[query];
    for (int i = 0; i < PANEL; i++)
        if (similarities[i] >= threshold && similarities[i] > NOT_ALLOWED) {
            lists->places[query * lists->room + used] = base + i;
            lists->similarities[query * lists->room + used] = similarities[i];
            used++;
        }
    lists->counts[query] = used;
}

/* The length of the longest list; -1 if one has a negative length. */
INLINE int64_t longest_of(const Lists *lists, int64_t count) {
    int64_t longest = 0, shortest = 0;
    for (int64_t query = 0; query < count; query++) {
        longest = max_i64(longest, lists->counts[query]);
        shortest = min_i64(shortest, lists->counts[query]);
    }
    return shortest < 0 ? -1 : longest;
}

/* Scan rows from `first` on: list rows at or above a query's threshold, and sum the softmax terms of the others.
 *
 * inverse: float32[count], 1/T; sums: float64[count, 3], added to; weights: float32[count, width], filled with the terms,
 * or null. Return the row to continue from: the scan stops before a list could overflow. Return -1 if a list has a negative
 * length. */
EXPORT int64_t KERNEL(accumulate)(const Keys *keys, int64_t first, const Queries *queries, const Lists *lists,
                                  const float *inverse, double *sums, float *weights, int64_t width) {
    const int64_t count = queries->count, enough = lists->room - PANEL;
    int64_t longest = longest_of(lists, count), start = first;
    if (longest < 0) return -1;
    Scaling scaling;
    float similarities[PANEL], terms[PANEL];
    int32_t products[AT_ONCE * PANEL];
    for (; start < keys->rows && longest <= enough; start += PANEL) {
        const int64_t rows = min_i64(PANEL, keys->rows - start);
        if (!prepare_panel(keys, start, &scaling)) {
            for (int64_t query = 0; weights && query < count; query++)
                clear(weights + query * width + start, rows * (int64_t)sizeof *weights);
            continue;
        }
        for (int64_t query = 0, begin = 0, end = 0; query < count; query++) {
            if (query == end) end = multiply_panel(keys, queries, start, begin = query, products);
            to_similarities(products + (query - begin) * queries->each * PANEL, queries, query, &scaling, similarities);
            float *into = weights ? weights + query * width + start : terms;
            Terms found = terms_of(similarities, lists->thresholds[query], inverse[query], rows == PANEL ? into : terms);
            if (weights && rows < PANEL) copy(into, terms, rows * (int64_t)sizeof *weights);
            sums[3 * query] += found.mass;
            sums[3 * query + 1] += found.gap;
            sums[3 * query + 2] += found.square;
            if (found.listed) {
                list_panel(lists, query, similarities, keys->base + start);
                longest = max_i64(longest, lists->counts[query]);
            }
        }
    }
    return min_i64(start, keys->rows);
}

/* Scan rows from `first` on: list rows at or above a query's threshold, and count the others in a histogram.
 *
 * lows: float32[count], where the first bin begins; finer: float32[count], bins per unit; histogram: float64[count, bins,
 * 2], to whose bins the number of rows and the sum of their similarities are added. Return as `accumulate` does. */
EXPORT int64_t KERNEL(fill_histogram)(const Keys *keys, int64_t first, const Queries *queries, const Lists *lists,
                                      const float *lows, const float *finer, double *histogram, int64_t bins) {
    const int64_t count = queries->count, enough = lists->room - PANEL;
    int64_t longest = longest_of(lists, count), start = first;
    if (longest < 0) return -1;
    Scaling scaling;
    float similarities[PANEL], counted[PANEL];
    int32_t bin[PANEL], products[AT_ONCE * PANEL];
    for (; start < keys->rows && longest <= enough; start += PANEL) {
        if (!prepare_panel(keys, start, &scaling)) continue;
        for (int64_t query = 0, begin = 0, end = 0; query < count; query++) {
            const float threshold = lists->thresholds[query];
            i32x16 listed = 0;
            if (query == end) end = multiply_panel(keys, queries, start, begin = query, products);
            to_similarities(products + (query - begin) * queries->each * PANEL, queries, query, &scaling, similarities);
            UNROLLED for (int lane = 0; lane < PANEL; lane += LANES) {
                f32x16 s = LOAD(f32x16, similarities + lane);
                f32x16 place = max_f32x16((s - lows[query]) * finer[query], 0.0f);
                STORE(bin + lane, to_i32x16(min_f32x16(place, (float)(bins - 1))));
                STORE(counted + lane, ((s > NOT_ALLOWED) & (s < threshold)) ? (f32x16)1.0f : (f32x16)0.0f);
                listed |= s >= threshold;
            }
            double *into = histogram + query * bins * 2;
            for (int i = 0; i < PANEL; i++) {
                into[2 * bin[i]] += (double)counted[i];
                into[2 * bin[i] + 1] += (double)(counted[i] * similarities[i]);
            }
            if (any(listed)) {
                list_panel(lists, query, similarities, keys->base + start);
                longest = max_i64(longest, lists->counts[query]);
            }
        }
    }
    return min_i64(start, keys->rows);
}

/* Insert a similarity into an ascending list of the `room` largest; the smallest drops out. */
INLINE void keep_best(float *best, int64_t room, float similarity) {
    int64_t place = 0;
    if (!(similarity > best[0])) return;
    for (; place + 1 < room && best[place + 1] < similarity; place++) best[place] = best[place + 1];
    best[place] = similarity;
}

/* Insert the similarities of all rows into each query's ascending list of the largest ones, best: float32[count, room]. */
EXPORT void KERNEL(sample_top)(const Keys *keys, const Queries *queries, float *best, int64_t room) {
    Scaling scaling;
    float similarities[PANEL];
    int32_t products[AT_ONCE * PANEL];
    for (int64_t start = 0; start < keys->rows; start += PANEL) {
        if (!prepare_panel(keys, start, &scaling)) continue;
        for (int64_t query = 0, begin = 0, end = 0; query < queries->count; query++) {
            if (query == end) end = multiply_panel(keys, queries, start, begin = query, products);
            to_similarities(products + (query - begin) * queries->each * PANEL, queries, query, &scaling, similarities);
            for (int i = 0; i < PANEL; i++) keep_best(best + query * room, room, similarities[i]);
        }
    }
}

/* The products alone, int32[lines, 64], of the 64 rows from the group `group` on: for tests. */
EXPORT void KERNEL(multiply)(const Keys *keys, int64_t group, const Queries *queries, int32_t *products) {
    byte_products(keys->codes, group, queries->planes, queries->lines, keys->length, products);
}

/* A query x, and its code of 16 bits: x is about scale · code, which is called x̂. */
typedef struct {
    const double *vector; /* float64[width] */
    int32_t *planes;      /* int32[2 · words], filled */
    double *coded, *left; /* float64[width], filled: x̂ and x − x̂ */
    int64_t width, words;
    int64_t levels, added;      /* the largest size of a code, and what is added to each code of a key */
    double divisor;             /* x is the vector divided by it; 0: by the vector's length, which is filled in */
    double scale, norm, square; /* filled: ‖x‖ and ‖x − x̂‖² */
    Queries queries;            /* filled: the code as scans read it */
    int32_t offset;
    float step;
} QueryCode;

/* Σ x², in the order in which NumPy sums, so that both have the same digits. */
static double sum_squares(const double *x, int64_t n) {
    if (n > 128) {
        const int64_t half = n / 2 / 8 * 8;
        return sum_squares(x, half) + sum_squares(x + half, n - half);
    }
    double total = 0.0;
    int64_t i = 0;
    if (n >= 8) {
        double lanes[8];
        for (; i < 8; i++) lanes[i] = x[i] * x[i];
        for (; i + 8 <= n; i += 8)
            for (int64_t lane = 0; lane < 8; lane++) lanes[lane] += x[i + lane] * x[i + lane];
        total = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
    }
    for (; i < n; i++) total += x[i] * x[i];
    return total;
}

/* Write the codes of a word, which is four components, as `Kernels.pack_queries` has them. */
INLINE void put_word(const QueryCode *call, int64_t word, const int32_t *codes) {
#ifdef WIDE
    for (int64_t i = 0; i < 2; i++) /* the pairs of the first and third, and of the second and fourth */
        call->planes[2 * word + i] = (codes[i] & 0xffff) | (int32_t)((uint32_t)codes[i + 2] << 16);
#else
    uint32_t upper = 0, lower = 0;
    for (int64_t i = 0; i < 4; i++) {
        const int32_t low = ((codes[i] + 128) & 255) - 128;
        upper |= (uint32_t)(((codes[i] - low) >> 8) & 255) << 8 * i;
        lower |= (uint32_t)(low & 255) << 8 * i;
    }
    call->planes[word] = (int32_t)upper, call->planes[call->words + word] = (int32_t)lower;
#endif
}

/* Fill what a query's code has, with the digits of `code_queries` and `pack_queries`. */
EXPORT void KERNEL(code_query)(QueryCode *call) {
    const int64_t width = call->width;
    const double *vector = call->vector;
    double *coded = call->coded, *left = call->left, largest = 0.0;
    if (call->divisor == 0.0) call->divisor = __builtin_elementwise_sqrt(sum_squares(vector, width));
    const double divisor = call->divisor;
    for (int64_t i = 0; i < width; i++) {
        left[i] = vector[i] / divisor;
        largest = max_f64(largest, __builtin_elementwise_abs(left[i]));
    }
    call->norm = __builtin_elementwise_sqrt(sum_squares(left, width));
    const double scale = call->scale = largest / (double)call->levels, step = scale > 0.0 ? scale : 1.0;
    int64_t sum = 0;
    for (int64_t word = 0; word < call->words; word++) {
        int32_t codes[4] = {0, 0, 0, 0};
        for (int64_t i = 4 * word; i < min_i64(4 * word + 4, width); i++) {
            const double code = __builtin_elementwise_rint(left[i] / step);
            coded[i] = code * scale, left[i] -= coded[i];
            sum += codes[i - 4 * word] = (int32_t)code;
        }
        put_word(call, word, codes);
    }
    call->square = sum_squares(left, width);
    call->offset = (int32_t)(call->added * sum), call->step = (float)scale;
    const int64_t lines = 2 / PLANE_WORDS;
    call->queries = (Queries){.planes = call->planes, .offsets = &call->offset, .steps = &call->step, .lines = lines,
                              .count = 1, .each = lines};
}
