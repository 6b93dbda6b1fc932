/* Kernels over candidates, the rows that a scan listed for each query. Arrays hold the candidates of all queries; run i,
 * that of query i, is the part from starts[i] to starts[i + 1]. Functions that return a number return -1, or the first query
 * whose run is refused, before they read any candidate of it. */
#include "best.h"
#include "candidates.h"
#include "exponentials.h"

enum { DIGITS = 4, BASE = 256 }; /* of a radix sort: a float32 has four digits of 8 bits */

static const double VANISHED = -800.0, LOWEST = -1e30, VANISHING = 1e-280, LEAST_LOGIT = -745.0;

/* The first run of `first` to `last` that is no part of m candidates, or whose count is not from `fewest` to its length; -1 if
 * all are right. Without counts only the runs are checked. */
INLINE int64_t wrong_run(const int64_t *starts, const int64_t *counts, int64_t first, int64_t last, int64_t fewest,
                         int64_t m) {
    for (int64_t run = first; run < last; run++) {
        const int64_t begin = starts[run], end = starts[run + 1];
        if (begin < 0 || end < begin || end > m) return run;
        if (counts && (counts[run] < fewest || counts[run] > end - begin)) return run;
    }
    return -1;
}

/* The bits of a float32 as an integer that falls where the float rises; −0 equals 0. */
INLINE uint32_t descending_bits(float similarity) {
    const float number = similarity == 0.0f ? 0.0f : similarity;
    const uint32_t bits = LOAD(uint32_t, &number), sign = 0x80000000u;
    return bits & sign ? bits : ~(bits ^ sign);
}

/* Merge the candidate lists of several workers into one run for each query from `first` to `last`, by similarity, largest
 * first; rows of equal similarity keep their order, the first worker's before the second's.
 *
 * row_numbers: int64[workers, queries, room]; similarities: float32, of the same shape; counts: int64[workers, queries];
 * ordered: int64[m]; descending: float64[m]; scratch: 28 bytes for each of `longest` rows, at a multiple of 8. A run is
 * refused if it has not the length of its lists. */
EXPORT int64_t KERNEL(sort_candidates)(const int64_t *row_numbers, const float *similarities, const int64_t *counts,
                                    int64_t workers, int64_t queries, int64_t room, const int64_t *starts,
                                    int64_t first, int64_t last, int64_t longest, uint8_t *scratch, int64_t *ordered,
                                    double *descending, int64_t m) {
    uint64_t *keys = (uint64_t *)scratch, *other = keys + longest;
    int64_t *listed = (int64_t *)(other + longest), digits[DIGITS][BASE];
    float *scanned = (float *)(listed + longest);
    for (int64_t query = first; query < last; query++) {
        int64_t rows = 0, whole = 0;
        for (int64_t worker = 0; worker < workers; worker++) {
            const int64_t count = counts[worker * queries + query];
            if (count < 0 || count > room) return query;
            whole += count;
        }
        if (wrong_run(starts, 0, query, query + 1, 0, m) >= 0) return query;
        if (starts[query + 1] - starts[query] != whole || whole > longest) return query;
        clear(digits, sizeof digits);
        for (int64_t worker = 0; worker < workers; worker++) {
            const int64_t list = worker * queries + query;
            for (int64_t i = list * room; i < list * room + counts[list]; i++, rows++) {
                const uint32_t bits = descending_bits(similarities[i]);
                listed[rows] = row_numbers[i], scanned[rows] = similarities[i];
                keys[rows] = (uint64_t)bits << 32 | (uint64_t)rows;
                UNROLLED for (int digit = 0; digit < DIGITS; digit++) digits[digit][bits >> 8 * digit & (BASE - 1)]++;
            }
        }
        for (int digit = 0; digit < DIGITS; digit++) {
            const int shift = 32 + 8 * digit;
            /* Rows above a threshold often share their first digit. */
            if (rows == 0 || digits[digit][keys[0] >> shift & (BASE - 1)] == rows) continue;
            int64_t place = 0;
            for (int value = 0; value < BASE; value++) {
                const int64_t count = digits[digit][value];
                digits[digit][value] = place;
                place += count;
            }
            for (int64_t i = 0; i < rows; i++) other[digits[digit][keys[i] >> shift & (BASE - 1)]++] = keys[i];
            uint64_t *const sorted = other;
            other = keys, keys = sorted;
        }
        for (int64_t i = 0; i < rows; i++) {
            const int64_t row = (int64_t)(keys[i] & 0xFFFFFFFF);
            ordered[starts[query] + i] = listed[row];
            descending[starts[query] + i] = (double)scanned[row];
        }
    }
    return -1;
}

/* Count the first candidates of each query that hold nearly all of its squared weight: Σ exp(2·(s − best)/T) of those after
 * them is at most `few` times that of the rows that the scan summed, or at most `negligible`.
 *
 * similarities: float64[m], each run descending; inverse: float64[queries], 1/T; levels, squares: float64[queries], Σe² of
 * summed rows and the similarity that it is relative to. */
EXPORT int64_t KERNEL(heavy_counts)(const double *similarities, int64_t m, const int64_t *starts, const double *inverse,
                                    const double *levels, const double *squares, double few, double negligible,
                                    int64_t first, int64_t last, int64_t *counts) {
    const int64_t wrong = wrong_run(starts, 0, first, last, 0, m);
    if (wrong >= 0) return wrong;
    for (int64_t query = first; query < last; query++) {
        const int64_t begin = starts[query];
        int64_t end = starts[query + 1];
        counts[query] = 0;
        if (begin == end) continue;
        const double best = similarities[begin], twice = 2.0 * inverse[query];
        const double relative = min_f64(max_f64((levels[query] - best) * twice, VANISHED), 0.0);
        const double limit = max_f64(few * (squares[query] * exponential_of(relative)), negligible);
        for (double beyond = 0.0; end > begin; end--) {
            beyond += exponential_of(max_f64((similarities[end - 1] - best) * twice, VANISHED));
            if (beyond > limit) break;
        }
        counts[query] = end - begin;
    }
    return -1;
}

/* How many of similarities[first : last], in descending order, are at least `bound`. */
INLINE int64_t count_at_least(const double *similarities, int64_t first, int64_t last, double bound) {
    int64_t low = first, high = last;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (similarities[middle] >= bound) low = middle + 1;
        else high = middle;
    }
    return low - first;
}

/* Count the candidates of each query to compute in float64 first: its k best, its heavy ones up to `maximum`, and all
 * within the margin of the k-th; at most max(times · maximum, 2k). 0 for a run of fewer than k rows. */
EXPORT int64_t KERNEL(initial_counts)(const double *similarities, int64_t m, const int64_t *starts, const int64_t *heavy,
                                      const int64_t *ks, const double *margins, int64_t queries, int64_t maximum,
                                      int64_t times, int64_t *counts) {
    const int64_t wrong = wrong_run(starts, 0, 0, queries, 0, m);
    if (wrong >= 0) return wrong;
    for (int64_t query = 0; query < queries; query++) {
        const int64_t first = starts[query], last = starts[query + 1], k = ks[query];
        counts[query] = 0;
        if (last - first < max_i64(k, 1)) continue;
        const int64_t enough = min_i64(max_i64(k, heavy[query]), min_i64(last - first, maximum));
        const double kth = k > 0 ? similarities[first + k - 1] - margins[query] : similarities[last - 1] - margins[query];
        const double bound = min_f64(similarities[first + max_i64(enough, 1) - 1], kth);
        counts[query] = min_i64(count_at_least(similarities, first, last, bound), max_i64(times * maximum, 2 * k));
    }
    return -1;
}

/* Select the first `counts[i]` candidates of run i, for each i: edges int64[queries + 1], where each run's selection begins;
 * indices and runs int64[room], of the selected candidates, room = Σ counts. */
EXPORT int64_t KERNEL(first_rows)(const int64_t *starts, const int64_t *counts, int64_t queries, int64_t *edges,
                                  int64_t *indices, int64_t *runs, int64_t room) {
    int64_t place = 0;
    for (int64_t query = 0; query < queries; query++) {
        if (counts[query] < 0 || counts[query] > room - place) return query;
        edges[query] = place;
        for (int64_t i = 0; i < counts[query]; i++, place++) indices[place] = starts[query] + i, runs[place] = query;
    }
    edges[queries] = place;
    return -1;
}

/* How many of a run's candidates to compute, to include all from `bound` on; −1 if candidates from it on may be missing, or
 * if more than `limit` are needed. */
INLINE int64_t count_needed(const double *similarities, int64_t first, int64_t last, double bound, int64_t count,
                            double threshold, int64_t limit) {
    const int64_t reached = max_i64(count_at_least(similarities, first, last, bound), count);
    return threshold <= bound && reached <= limit ? reached : -1;
}

/* Count the candidates of each query to compute in float64 to know its k best rows; −1 if they cannot decide.
 *
 * rescored: float64[Σ counts], exact similarities of the first candidates of each run; supports, thresholds, errors:
 * float64[queries]; heap: scratch float64[max(counts) / 2 + 1]. */
EXPORT int64_t KERNEL(decisive_counts)(const double *similarities, int64_t m, const int64_t *starts,
                                       const double *rescored, const int64_t *counts, const int64_t *ks,
                                       const double *supports, const double *thresholds, const double *errors,
                                       int64_t queries, int64_t maximum, int64_t times, double *heap, int64_t *needed) {
    const int64_t wrong = wrong_run(starts, counts, 0, queries, 0, m);
    if (wrong >= 0) return wrong;
    for (int64_t query = 0; query < queries; query++, rescored += counts[query - 1]) {
        const int64_t k = ks[query], count = counts[query], first = starts[query], last = starts[query + 1];
        const int64_t limit = max_i64(times * maximum, 2 * k);
        needed[query] = -1;
        if (count < max_i64(k, 1)) continue;
        double highest = rescored[0], lowest = INFINITE;
        for (int64_t i = 1; i < count; i++) highest = max_f64(highest, rescored[i]);
        if (supports[query] > 0.0) lowest = highest - supports[query];
        /* The minimum of any k rows is at most the k-th best. Look for the k-th best only if that does not decide. */
        double kth = INFINITE;
        for (int64_t i = 0; i < k; i++) kth = min_f64(kth, rescored[i]);
        for (int exact = 0; exact < 2 && needed[query] < 0; exact++) {
            if (exact && k > 0) kth = kth_largest(rescored, count, k, heap);
            const double bound = min_f64(kth, lowest) - errors[query];
            needed[query] = count_needed(similarities, first, last, bound, count, thresholds[query], limit);
        }
    }
    return -1;
}

/* A sum and its rounding error, by Neumaier's method. */
typedef struct {
    double sum, error;
} Compensated;

INLINE void add(Compensated *to, double term) {
    const double after = to->sum + term;
    to->error += magnitude(to->sum) >= magnitude(term) ? (to->sum - after) + term : (term - after) + to->sum;
    to->sum = after;
}
INLINE double total_of(const Compensated *added) { return added->sum + added->error; }

/* ln(Σ exp((s − best) / T) + Σ mass · exp(distance)) over candidates and sums, even if every term underflows. */
INLINE double log_sum(const double *values, int64_t first, int64_t last, double best, double temperature,
                      const double *thresholds, const double *sums, int64_t bands) {
    double largest = -INFINITE, mass = 0.0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t row = first; row < last; row++) {
            const double logit = (values[row] - best) / temperature;
            if (pass) mass += exponential_of(logit - largest);
            else largest = max_f64(largest, logit);
        }
        for (int64_t band = 0; band < bands; band++) {
            if (!(sums[3 * band] > 0.0)) continue;
            const double logit = (thresholds[band] - best) / temperature + logarithm_of(sums[3 * band]);
            if (pass) mass += exponential_of(logit - largest);
            else largest = max_f64(largest, logit);
        }
        if (largest == -INFINITE) return largest;
    }
    return largest + logarithm_of(mass);
}

/* Softmax weights over candidates, over the sums of all other rows, and over the null key, for cases `first` to `last`: a
 * case is one query at one temperature.
 *
 * values: float64[m]; counts: int64[cases], how many first candidates are known in float64, at least 1; thresholds:
 * float64[cases, bands], below which rows were summed; sums: float64[cases, bands, 3], Σe, Σe·x, Σe²; nulls:
 * float64[cases, 2], the null key's similarity (−∞: none) and the logarithm of its count. Filled: weights float64[m];
 * factors float64[cases, bands], which turn a mass into weight; totals float64[cases, 10], the fields of `Totals`. */
EXPORT int64_t KERNEL(softmax_weights)(const double *values, int64_t m, const int64_t *starts, const int64_t *counts,
                                       const double *temperatures, const double *thresholds, const double *sums,
                                       const double *nulls, int64_t bands, int64_t first, int64_t last,
                                       double *weights, double *factors, double *totals) {
    const int64_t wrong = wrong_run(starts, counts, first, last, 1, m);
    if (wrong >= 0) return wrong;
    for (int64_t item = first; item < last; item++) {
        const int64_t begin = starts[item], end = starts[item + 1], middle = begin + counts[item];
        const double temperature = temperatures[item], *levels = thresholds + item * bands;
        const double *summed = sums + 3 * item * bands, *null = nulls + 2 * item;
        double *factor_of = factors + item * bands, *total = totals + 10 * item, best = values[begin];
        for (int64_t row = begin + 1; row < middle; row++) best = max_f64(best, values[row]);
        Compensated head = {0}, head_gap = {0}, listed = {0}, listed_gap = {0}, square = {0};
        for (int64_t row = begin; row < end; row++) {
            const double logit = max_f64((values[row] - best) / temperature, LOWEST), mass = exponential_of(logit);
            weights[row] = mass;
            add(row < middle ? &head : &listed, mass);
            add(row < middle ? &head_gap : &listed_gap, mass * logit);
            if (row >= middle) add(&square, mass * mass);
        }
        double mass_below = 0.0, gap_below = 0.0, square_below = 0.0;
        for (int64_t band = 0; band < bands; band++) {
            const double floor = max_f64((levels[band] - best) / temperature, LEAST_LOGIT);
            const double factor = exponential_of(floor), *of = summed + 3 * band;
            factor_of[band] = factor;
            mass_below += factor * of[0];
            gap_below += factor * (of[1] + floor * of[0]);
            square_below += factor * factor * of[2];
        }
        const double tail = total_of(&listed) + mass_below, tail_gap = -(total_of(&listed_gap) + gap_below);
        const double whole = total_of(&head) + tail, log_mass = logarithm_of(whole);
        const double mean_gap = (tail_gap - total_of(&head_gap)) / whole;
        const double null_logit = null[0] == -INFINITE ? -INFINITE : (null[0] - best) / temperature + null[1];
        const double ahead = null_logit - log_mass, rising = exponential_of(-magnitude(ahead));
        const double less = rising / (1.0 + rising), more = 1.0 / (1.0 + rising);
        const double null_weight = ahead >= 0.0 ? more : less, factor = (ahead > 0.0 ? less : more) / whole;
        const double log_partition = max_f64(log_mass, null_logit) + logarithm_of_one_plus(rising);
        for (int64_t row = begin; row < end; row++) weights[row] *= factor;
        for (int64_t band = 0; band < bands; band++) factor_of[band] *= factor;
        double log_tail = tail > 0.0 ? logarithm_of(tail) : -INFINITE;
        if (tail < VANISHING) log_tail = log_sum(values, middle, end, best, temperature, levels, summed, bands);
        total[0] = best, total[1] = null_weight, total[2] = best / temperature + log_partition;
        total[3] = log_mass + mean_gap;
        total[4] = (1.0 - null_weight) * (mean_gap + max_f64(null_logit, 0.0));
        if (null_weight > 0.0) total[4] += null_weight * max_f64(-null_logit, 0.0);
        total[5] = min_f64(tail * factor, 1.0), total[6] = min_f64(log_tail - log_partition, 0.0);
        total[7] = tail_gap * factor;
        total[8] = (total_of(&square) + square_below) * factor * factor, total[9] = square_below * factor * factor;
    }
    return -1;
}

/* Select the k best of the first `counts[i]` candidates of each run, best first, and all that tie with the k-th; ties by
 * row number. edges: int64[queries + 1]; rows: int64[Σ counts], indices of candidates; runs: int64[Σ counts], the query of each;
 * heap: scratch float64[max(counts) / 2 + 1]. */
EXPORT int64_t KERNEL(top_rows)(const double *similarities, const int64_t *row_numbers, int64_t m, const int64_t *starts,
                                const int64_t *counts, const int64_t *ks, int64_t queries, double *heap, int64_t *edges,
                                int64_t *rows, int64_t *runs) {
    const int64_t wrong = wrong_run(starts, counts, 0, queries, 0, m);
    if (wrong >= 0) return wrong;
    int64_t end = 0;
    edges[0] = 0;
    for (int64_t query = 0; query < queries; query++) {
        const int64_t first = starts[query], count = counts[query], k = min_i64(ks[query], count), begin = end;
        end += select_best(similarities, row_numbers, first, count, k, heap, rows + end);
        for (int64_t i = begin; i < end; i++) runs[i] = query;
        edges[query + 1] = end;
    }
    return -1;
}

/* exp, ln and ln(1 + x) of n numbers: for tests. */
EXPORT void KERNEL(exponentials)(const double *x, int64_t n, double *exponential, double *logarithm, double *one_plus) {
    for (int64_t i = 0; i < n; i++) {
        exponential[i] = exponential_of(x[i]);
        logarithm[i] = logarithm_of(x[i]);
        one_plus[i] = logarithm_of_one_plus(x[i]);
    }
}
