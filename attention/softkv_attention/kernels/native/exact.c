/* The softmax of queries over float32 rows as a whole: every similarity in float64, the sums of the exponentials, and the best
 * rows. */
#include "best.h"
#include "exponentials.h"
#include "originals.h"

/* Consecutive rows of one block, or some rows of it. */
typedef struct {
    const float *keys;   /* float32[·, width] */
    const double *norms; /* float64[count], the lengths of the keys; null: products are not divided by them */
    const int64_t *rows; /* int64[count], positions in the block; null: the first `count` */
    int64_t count;
} Run;

typedef struct {
    const Run *runs;
    int64_t run_count, rows, width;
} Rows;

/* What a query asks: its products with keys are divided by `divisor`, and by the lengths of the keys if runs have them. */
typedef struct {
    double divisor, temperature, null_similarity, null_log_count, k;
} Query;

/* A sum of 8 lanes and its rounding errors, by Knuth's method. */
typedef struct {
    f64x8 sum, error;
} Lanes;

INLINE void add_lanes(Lanes *to, f64x8 term) {
    const f64x8 after = to->sum + term, kept = after - to->sum;
    to->error += (to->sum - (after - kept)) + (term - kept);
    to->sum = after;
}
INLINE double total_of_lanes(const Lanes *added) { return sum_f64x8(added->sum) + sum_f64x8(added->error); }

/* Eight numbers from an array's index i on; after its end, -∞. */
INLINE f64x8 eight_of(const double *from, int64_t i, int64_t count) {
    if (i + EIGHT <= count) return LOAD(f64x8, from + i);
    f64x8 part = -INFINITE;
    for (int lane = 0; lane < EIGHT && i + lane < count; lane++) part[lane] = from[i + lane];
    return part;
}

INLINE void put_eight(double *into, int64_t i, int64_t count, f64x8 eight) {
    if (i + EIGHT <= count) STORE(into + i, eight);
    else
        for (int lane = 0; lane < EIGHT && i + lane < count; lane++) into[i + lane] = eight[lane];
}

/* Divide products by a number, and by the lengths of keys. Rounding may carry a cosine slightly beyond 1. */
INLINE void scale_products(double *products, const double *norms, int64_t count, double divisor) {
    for (int64_t i = 0; i < count; i += EIGHT) {
        f64x8 similarity = eight_of(products, i, count);
        if (norms) {
            similarity /= eight_of(norms, i, count) * divisor;
            similarity = similarity > 1.0 ? (f64x8)1.0 : similarity < -1.0 ? (f64x8)-1.0 : similarity;
        } else similarity /= divisor;
        put_eight(products, i, count, similarity);
    }
}

/* The softmax masses exp((s − best) / T) of n rows; totals: best, Σ mass and Σ mass · (s − best) / T. Return Σ mass². */
static double weigh(const double *similarities, int64_t n, double temperature, double *masses, double *totals) {
    f64x8 maximum = -INFINITE;
    for (int64_t i = 0; i < n; i += EIGHT) {
        const f64x8 eight = eight_of(similarities, i, n);
        maximum = eight > maximum ? eight : maximum;
    }
    const double best = __builtin_reduce_max(maximum);
    Lanes mass = {0.0, 0.0}, gap = {0.0, 0.0};
    f64x8 squares = 0.0;
    for (int64_t i = 0; i < n; i += EIGHT) {
        f64x8 logits = (eight_of(similarities, i, n) - best) / temperature;
        /* Not a number becomes the floor, too: ∞/∞ beyond the last row. */
        logits = logits > VANISHING_LOGIT ? logits : (f64x8)VANISHING_LOGIT;
        logits = logits < 0.0 ? logits : (f64x8)0.0; /* for any temperature, so that masses are at most 1 */
        const f64x8 terms = exponentials_of(logits);
        add_lanes(&mass, terms);
        add_lanes(&gap, terms * logits);
        squares = fma_f64x8(terms, terms, squares);
        put_eight(masses, i, n, terms);
    }
    totals[0] = best, totals[1] = total_of_lanes(&mass), totals[2] = total_of_lanes(&gap);
    return sum_f64x8(squares);
}

/* Whether at most 128 rows may share the weight: they have half of it together, and neither one of them nor the null key has
 * more. Their mass is at most √(128 · Σ mass²), by Cauchy and Schwarz. The margins leave room for rounding. */
INLINE int may_share(const Query *query, const double *totals, double squares) {
    const double relative = (query->null_similarity - totals[0]) / query->temperature + query->null_log_count;
    const double null_mass = query->null_similarity == -INFINITE ? 0.0 : exponential_of(relative);
    const double whole = totals[1] + null_mass;
    return null_mass <= 1.001 * totals[1] && whole >= 1.999 && HEAVIEST * squares >= 0.249 * whole * whole;
}

typedef struct {
    const double *similarities; /* float64[n] */
    double *masses, *totals;    /* float64[n] and float64[3], filled, see `weigh` */
    int64_t n;
    double temperature;
} SoftmaxMasses;

/* The masses of n similarities at a temperature. Return -1, as kernels do that refuse nothing. */
EXPORT int64_t KERNEL(softmax_masses)(const SoftmaxMasses *call) {
    weigh(call->similarities, call->n, call->temperature, call->masses, call->totals);
    return -1;
}

/* Compute for each of q queries, float64[q, width], over all n rows:
 *
 * reals: float64[q, 2n + 3], similarities and softmax masses of the rows, and the totals of `weigh`;
 * indices: int64[q, n + 128 + 2], the k best rows and those that tie with the k-th; the heaviest rows, if several may
 * share the weight; and the number of both.
 *
 * room: scratch of 16 · (n + 1) bytes. Copies of a key have equal similarities, since each is summed in one order. */
EXPORT void KERNEL(softmax_rows)(const Rows *rows, const double *queries, const Query *asked, int64_t q, double *room,
                                 double *reals, int64_t *indices) {
    const int64_t n = rows->rows, line = 2 * n + 3, listed = n + HEAVIEST + 2;
    int64_t *chosen = (int64_t *)(room + n / 2 + 1);
    for (int64_t run = 0, start = 0; run < rows->run_count; start += rows->runs[run++].count) {
        const Run *of = rows->runs + run;
        fill_products(of->keys, rows->width, of->rows, of->count, queries, q, reals + start, line);
        for (int64_t query = 0; query < q; query++)
            scale_products(reals + query * line + start, of->norms, of->count, asked[query].divisor);
    }
    for (int64_t query = 0; query < q; query++) {
        double *similarities = reals + query * line, *masses = similarities + n, *totals = masses + n;
        int64_t *heads = indices + query * listed, *heavy = heads + n, *counts = heavy + HEAVIEST;
        const double k = asked[query].k;
        const double squares = weigh(similarities, n, asked[query].temperature, masses, totals);
        counts[0] = select_best(similarities, 0, 0, n, k < (double)n ? (int64_t)max_f64(k, 0.0) : n, room, heads);
        counts[1] = 0;
        if (!may_share(asked + query, totals, squares)) continue;
        counts[1] = select_heaviest(masses, n, chosen);
        copy(heavy, chosen, counts[1] * (int64_t)sizeof *heavy);
    }
}
