/* Kernels over candidates, see candidates.h. */
#include "best.h"
#include "candidates.h"
#include "exponentials.h"

enum { DIGITS = 4, BASE = 256 }; /* of a radix sort: a float32 has four digits of 8 bits */

static const double VANISHED = -800.0, LOWEST = -1e30, VANISHING = 1e-280, MIN_LOGIT = -745.0;

/* The first run of `first` to `last` that is no part of m candidates, or whose count is not from `minimum` to its length; -1 if
 * all are right. Without counts only the runs are checked. */
INLINE int64_t wrong_run(const int64_t *starts, const int64_t *counts, int64_t first, int64_t last, int64_t queries,
                         int64_t minimum, int64_t m) {
    if (first < 0 || last > queries) return max_i64(first, 0);
    for (int64_t run = first; run < last; run++) {
        const int64_t begin = starts[run], end = starts[run + 1];
        if (begin < 0 || end < begin || end > m) return run;
        if (counts && (counts[run] < minimum || counts[run] > end - begin)) return run;
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
 * A run is refused if it has not the length of its lists. */
EXPORT int64_t KERNEL(sort_candidates)(const SortCandidates *call) {
    const int64_t workers = call->workers, queries = call->queries, room = call->room, m = call->m;
    const int64_t *counts = call->counts, *starts = call->starts, longest = call->longest;
    uint64_t *keys = (uint64_t *)call->memory, *other = keys + longest;
    int64_t *listed = (int64_t *)(other + longest), digits[DIGITS][BASE];
    float *scanned = (float *)(listed + longest);
    if (call->first < 0 || call->last > queries) return max_i64(call->first, 0);
    for (int64_t query = call->first; query < call->last; query++) {
        int64_t rows = 0, whole = 0;
        for (int64_t worker = 0; worker < workers; worker++) {
            const int64_t count = counts[worker * queries + query];
            if (count < 0 || count > room) return query;
            whole += count;
        }
        if (wrong_run(starts, 0, query, query + 1, queries, 0, m) >= 0) return query;
        if (starts[query + 1] - starts[query] != whole || whole > longest) return query;
        clear(digits, sizeof digits);
        for (int64_t worker = 0; worker < workers; worker++) {
            const int64_t list = worker * queries + query;
            for (int64_t i = list * room; i < list * room + counts[list]; i++, rows++) {
                const uint32_t bits = descending_bits(call->similarities[i]);
                listed[rows] = call->row_numbers[i], scanned[rows] = call->similarities[i];
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
            call->ordered[starts[query] + i] = listed[row];
            call->descending[starts[query] + i] = (double)scanned[row];
        }
    }
    return -1;
}

/* Count the first candidates of each query that hold nearly all of its squared weight: Σ exp(2·(s − best)/T) of those after
 * them is at most `few` times that of the rows that the scan summed, or at most `negligible`. */
EXPORT int64_t KERNEL(heavy_counts)(const HeavyCounts *call) {
    const double *similarities = call->similarities;
    const int64_t wrong = wrong_run(call->starts, 0, call->first, call->last, call->queries, 0, call->m);
    if (wrong >= 0) return wrong;
    for (int64_t query = call->first; query < call->last; query++) {
        const int64_t begin = call->starts[query];
        int64_t end = call->starts[query + 1];
        call->counts[query] = 0;
        if (begin == end) continue;
        const double best = similarities[begin], twice = 2.0 * call->inverse[query];
        const double relative = min_f64(max_f64((call->levels[query] - best) * twice, VANISHED), 0.0);
        const double limit = max_f64(call->few * (call->squares[query] * exponential_of(relative)), call->negligible);
        for (double beyond = 0.0; end > begin; end--) {
            beyond += exponential_of(max_f64((similarities[end - 1] - best) * twice, VANISHED));
            if (beyond > limit) break;
        }
        call->counts[query] = end - begin;
    }
    return -1;
}

/* How many of similarities[first : last], in descending order, are `bound` or above. */
INLINE int64_t count_from(const double *similarities, int64_t first, int64_t last, double bound) {
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
EXPORT int64_t KERNEL(initial_counts)(const InitialCounts *call) {
    const double *similarities = call->similarities;
    const int64_t wrong = wrong_run(call->starts, 0, 0, call->queries, call->queries, 0, call->m);
    if (wrong >= 0) return wrong;
    for (int64_t query = 0; query < call->queries; query++) {
        const int64_t first = call->starts[query], last = call->starts[query + 1], k = call->ks[query];
        call->counts[query] = 0;
        if (last - first < max_i64(k, 1)) continue;
        const int64_t enough = min_i64(max_i64(k, call->heavy[query]), min_i64(last - first, call->maximum));
        const double kth = similarities[k > 0 ? first + k - 1 : last - 1] - call->margins[query];
        const double bound = min_f64(similarities[first + max_i64(enough, 1) - 1], kth);
        const int64_t limit = max_i64(call->times * call->maximum, 2 * k);
        call->counts[query] = min_i64(count_from(similarities, first, last, bound), limit);
    }
    return -1;
}

typedef struct {
    const int64_t *starts, *counts; /* int64[queries] */
    int64_t *edges;                 /* int64[queries + 1], filled: where each run's selection begins */
    int64_t *indices, *runs;        /* int64[room], filled: of the selected candidates; room = Σ counts */
    int64_t queries, room;
} FirstRows;

/* Select the first `counts[i]` candidates of run i, for each i. */
EXPORT int64_t KERNEL(first_rows)(const FirstRows *call) {
    int64_t place = 0;
    for (int64_t query = 0; query < call->queries; query++) {
        const int64_t count = call->counts[query];
        if (count < 0 || count > call->room - place) return query;
        call->edges[query] = place;
        for (int64_t i = 0; i < count; i++, place++) {
            call->indices[place] = call->starts[query] + i;
            call->runs[place] = query;
        }
    }
    call->edges[call->queries] = place;
    return -1;
}

/* How many of a run's candidates to compute, to include all from `bound` on; −1 if candidates from it on may be missing, or
 * if more than `limit` are needed. */
INLINE int64_t count_needed(const double *similarities, int64_t first, int64_t last, double bound, int64_t count,
                            double threshold, int64_t limit) {
    const int64_t reached = max_i64(count_from(similarities, first, last, bound), count);
    return threshold <= bound && reached <= limit ? reached : -1;
}

/* Count the candidates of each query to compute in float64 to know its k best rows; −1 if they cannot decide. */
EXPORT int64_t KERNEL(decisive_counts)(const DecisiveCounts *call) {
    const int64_t *starts = call->starts, *counts = call->counts, queries = call->queries;
    const int64_t wrong = wrong_run(starts, counts, 0, queries, queries, 0, call->m);
    if (wrong >= 0) return wrong;
    int64_t known = 0;
    for (int64_t query = 0; query < queries; query++) known += counts[query];
    if (known != call->known) return queries;
    const double *rescored = call->rescored;
    for (int64_t query = 0; query < queries; rescored += counts[query++]) {
        const int64_t k = call->ks[query], count = counts[query], first = starts[query], last = starts[query + 1];
        int64_t *needed = call->needed + query;
        const int64_t limit = max_i64(call->times * call->maximum, 2 * k);
        *needed = -1;
        if (count < max_i64(k, 1)) continue;
        double maximum = rescored[0], lowest = INFINITE;
        for (int64_t i = 1; i < count; i++) maximum = max_f64(maximum, rescored[i]);
        if (call->supports[query] > 0.0) lowest = maximum - call->supports[query];
        /* The minimum of any k rows is at most the k-th best. Look for the k-th best only if that does not decide. */
        double kth = INFINITE;
        for (int64_t i = 0; i < k; i++) kth = min_f64(kth, rescored[i]);
        for (int exact = 0; exact < 2 && *needed < 0; exact++) {
            if (exact && k > 0) kth = kth_largest(rescored, count, k, call->heap);
            const double bound = min_f64(kth, lowest) - call->errors[query];
            *needed = count_needed(call->similarities, first, last, bound, count, call->thresholds[query], limit);
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
    double maximum = -INFINITE, mass = 0.0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t row = first; row < last; row++) {
            const double logit = (values[row] - best) / temperature;
            if (pass) mass += exponential_of(logit - maximum);
            else maximum = max_f64(maximum, logit);
        }
        for (int64_t band = 0; band < bands; band++) {
            if (!(sums[3 * band] > 0.0)) continue;
            const double logit = (thresholds[band] - best) / temperature + logarithm_of(sums[3 * band]);
            if (pass) mass += exponential_of(logit - maximum);
            else maximum = max_f64(maximum, logit);
        }
        if (maximum == -INFINITE) return maximum;
    }
    return maximum + logarithm_of(mass);
}

/* Softmax weights over candidates, over the sums of all other rows, and over the null key, for cases `first` to
 * `last`. */
EXPORT int64_t KERNEL(softmax_weights)(const SoftmaxWeights *call) {
    const int64_t *starts = call->starts, *counts = call->counts, bands = call->bands;
    const double *values = call->values;
    double *weights = call->weights;
    const int64_t wrong = wrong_run(starts, counts, call->first, call->last, call->cases, 1, call->m);
    if (wrong >= 0) return wrong;
    for (int64_t item = call->first; item < call->last; item++) {
        const int64_t begin = starts[item], end = starts[item + 1], middle = begin + counts[item];
        const double temperature = call->temperatures[item], *levels = call->thresholds + item * bands;
        const double *summed = call->sums + 3 * item * bands, *null = call->nulls + 2 * item;
        double *factor_of = call->factors + item * bands, *total = call->totals + 10 * item, best = values[begin];
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
            const double floor = max_f64((levels[band] - best) / temperature, MIN_LOGIT);
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

typedef struct {
    const double *similarities; /* float64[m] */
    const int64_t *row_numbers; /* int64[m] */
    const int64_t *starts;      /* int64[queries + 1] */
    const int64_t *counts, *ks; /* int64[queries] */
    int64_t *edges;             /* int64[queries + 1], filled: where each run's selection begins */
    int64_t *rows, *runs;       /* int64[room], filled: selected candidates, and the query of each; room = Σ counts */
    double *heap;               /* scratch float64[room / 2 + 1] */
    int64_t m, queries, room;
} SelectTop;

/* Select the k best of the first `counts[i]` candidates of each run, best first, and all that tie with the k-th; ties by
 * row number. */
EXPORT int64_t KERNEL(select_top)(const SelectTop *call) {
    const int64_t *counts = call->counts, queries = call->queries;
    const int64_t wrong = wrong_run(call->starts, counts, 0, queries, queries, 0, call->m);
    if (wrong >= 0) return wrong;
    int64_t end = 0;
    call->edges[0] = 0;
    for (int64_t query = 0; query < queries; query++) {
        const int64_t first = call->starts[query], k = min_i64(call->ks[query], counts[query]), begin = end;
        end += select_best(call->similarities, call->row_numbers, first, counts[query], k, call->heap, call->rows + end);
        for (int64_t i = begin; i < end; i++) call->runs[i] = query;
        call->edges[query + 1] = end;
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
