/* The softmax of one query over many rows: a scan of their 8-bit codes, and the best rows again from float32 originals.
 *
 * `begin_scan` chooses a threshold from a sample; `scan_tiles` lists the rows that reach it and sums the others, in one
 * thread or several; `sort_scan` merges their lists; `weigh_scan` looks the best rows up and weighs all. They take the same
 * steps as the functions for many queries, which they call, so their digits are the same. */
#include "best.h"
#include "candidates.h"
#include "exponentials.h"
#include "keys.h"
#include "originals.h"

enum { TOTALS = 10, AHEAD_ROWS = 4 };

/* Rows of one block: their codes, those of a sample of them, and their originals. */
typedef struct {
    Keys codes, sample;
    const float *originals; /* float32[rows, width] */
    const double *norms;    /* float64[rows], the lengths of the originals; null: products are not divided by them */
} Block;

typedef struct {
    const Block *blocks; /* by the index of their first row, `codes.base` */
    int64_t count, width, sampled;
} Coded;

/* One query, what it asks, and what the calls have found so far. */
typedef struct {
    const Queries *codes;
    const double *vector; /* float64[width] */
    double *memory;       /* see `lists_of` and the functions behind it */
    int64_t workers, room;  /* of lists: one for each worker */
    int64_t height;         /* rows of a tile, a multiple of 64 */
    int64_t best_sampled;   /* so many rows of the sample reach the threshold */
    int64_t k, cap;         /* the rows to know for sure, and the rows to list */
    int64_t maximum, times; /* how many rows to look up for their weight, and how many times as many for the k best */
    double divisor, temperature, inverse; /* 1/T as float32 */
    double null_similarity, null_log_count, few, negligible, margin, error;
    /* Found: */
    int64_t next;                   /* the next tile */
    int64_t listed, known, wanted;  /* candidates, how many of them are looked up, and how many ought to be */
    int64_t heads, heavy;           /* how many rows are chosen as the best, and as the heaviest */
    double threshold, level, factor, heaviest;
    double sums[3], totals[TOTALS];
} Scan;

/* The parts of the memory, whose lists have `all` = workers · room rows. */
INLINE int64_t all_of(const Scan *scan) { return scan->workers * scan->room; }
INLINE double *sums_of(const Scan *scan) { return scan->memory; } /* [workers, 3] */
INLINE int64_t *counts_of(const Scan *scan) { return (int64_t *)(scan->memory + 3 * scan->workers); }
INLINE double *thresholds_of(const Scan *scan) { return scan->memory + 4 * scan->workers; }
INLINE double *arrays_of(const Scan *scan, int64_t index) { return scan->memory + 5 * scan->workers + index * all_of(scan); }
INLINE int64_t *places_of(const Scan *scan) { return (int64_t *)arrays_of(scan, 0); }
INLINE int64_t *rows_of(const Scan *scan) { return (int64_t *)arrays_of(scan, 1); }
INLINE double *scanned_of(const Scan *scan) { return arrays_of(scan, 2); }
INLINE double *values_of(const Scan *scan) { return arrays_of(scan, 3); }
INLINE double *weights_of(const Scan *scan) { return arrays_of(scan, 4); }
INLINE int64_t *chosen_of(const Scan *scan) { return (int64_t *)arrays_of(scan, 5); } /* 2 · all */
INLINE float *listed_of(const Scan *scan) { return (float *)arrays_of(scan, 7); }
INLINE double *scratch_of(const Scan *scan) { return arrays_of(scan, 8); } /* 4 · all */

/* The numbers of float64 that `memory` must have room for. */
EXPORT int64_t KERNEL(scan_memory)(int64_t workers, int64_t room) { return workers * (5 + 12 * room); }

/* Choose the threshold: about as many rows reach it as shall be listed. */
EXPORT void KERNEL(begin_scan)(const Coded *coded, Scan *scan) {
    float *best = listed_of(scan), threshold = FAR_BELOW;
    /* Too few sampled rows do not say where the best begin. Then all are listed, until a list is full. */
    if (coded->sampled >= 4 * scan->best_sampled) {
        for (int64_t i = 0; i < scan->best_sampled; i++) best[i] = FAR_BELOW;
        for (int64_t i = 0; i < coded->count; i++)
            KERNEL(sample_top)(&coded->blocks[i].sample, scan->codes, best, scan->best_sampled);
        threshold = best[0];
    }
    scan->next = 0;
    for (int64_t worker = 0; worker < scan->workers; worker++) {
        clear(sums_of(scan) + 3 * worker, 3 * (int64_t)sizeof(double));
        counts_of(scan)[worker] = 0, thresholds_of(scan)[worker] = (double)threshold;
    }
}

/* Turn sums Σe, Σe·x and Σe² into those after every logit grew by `shift`. */
INLINE void shift_sums(double *sums, double shift) {
    const double by = exponential_of(shift), mass = sums[0], gap = sums[1];
    sums[0] = by * mass, sums[1] = by * (gap + shift * mass), sums[2] *= by * by;
}

/* The float32 after x, for finite x. */
INLINE float next_after(float x) {
    if (x == 0.0f) return 0x1p-149f;
    const int32_t bits = LOAD(int32_t, &x) + (x > 0.0f ? 1 : -1);
    return LOAD(float, &bits);
}

/* Raise the threshold of a full list to its best quarter; what falls below is added to the sums. */
static void raise_threshold(const Scan *scan, const Lists *lists, float *threshold, double *sums, double *scratch) {
    const int64_t count = lists->counts[0];
    const float before = *threshold;
    for (int64_t i = 0; i < count; i++) scratch[i] = (double)lists->similarities[i];
    float after = (float)kth_largest(scratch, count, max_i64(1, lists->room / 4), scratch + count);
    int64_t reaching = 0;
    for (int64_t i = 0; i < count; i++) reaching += lists->similarities[i] >= after;
    if (reaching > lists->room / 2) after = next_after(after); /* copies of one row fill the list: all of them leave it */
    if (sums[0] > 0.0) shift_sums(sums, ((double)before - (double)after) * scan->inverse);
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        const float similarity = lists->similarities[i];
        if (similarity >= after) {
            lists->similarities[kept] = similarity, lists->places[kept++] = lists->places[i];
            continue;
        }
        const double logit = max_f64(((double)similarity - (double)after) * scan->inverse, -700.0);
        const double term = exponential_of(logit);
        sums[0] += term, sums[1] += term * logit, sums[2] += term * term;
    }
    lists->counts[0] = kept, *threshold = after;
}

INLINE int64_t tiles_of(const Block *block, int64_t height) { return (block->codes.rows + height - 1) / height; }

/* Scan tiles until none is left, into the list and the sums of one worker; scratch: float64[2 · room]. */
static void scan_as(const Coded *coded, Scan *scan, int64_t worker, double *scratch) {
    const Block *block = coded->blocks, *end = block + coded->count;
    double sums[3] = {0.0, 0.0, 0.0};
    float threshold = (float)thresholds_of(scan)[worker];
    const float inverse = (float)scan->inverse;
    int64_t count = 0, before = 0; /* tiles of the blocks before this one */
    const Lists lists = {&threshold, places_of(scan) + worker * scan->room, listed_of(scan) + worker * scan->room, &count,
                         scan->room};
    for (;;) {
        const int64_t tile = __atomic_fetch_add(&scan->next, 1, __ATOMIC_RELAXED);
        for (; block < end && tile - before >= tiles_of(block, scan->height); block++) before += tiles_of(block, scan->height);
        if (block == end) break;
        Keys keys = block->codes;
        int64_t row = (tile - before) * scan->height;
        keys.rows = min_i64(keys.rows, row + scan->height);
        for (;;) {
            row = KERNEL(accumulate)(&keys, row, scan->codes, &lists, &inverse, sums, 0, 0);
            if (row >= keys.rows) break;
            raise_threshold(scan, &lists, &threshold, sums, scratch);
        }
    }
    copy(sums_of(scan) + 3 * worker, sums, sizeof sums);
    counts_of(scan)[worker] = count, thresholds_of(scan)[worker] = (double)threshold;
}

/* As `scan_as`. Each worker calls it once, in a thread of its own. */
EXPORT void KERNEL(scan_tiles)(const Coded *coded, Scan *scan, int64_t worker) {
    scan_as(coded, scan, worker, scratch_of(scan) + 2 * worker * scan->room);
}

/* Add the sums of all workers, relative to the highest level of one that summed rows. */
static void add_sums(Scan *scan) {
    const double *thresholds = thresholds_of(scan);
    double maximum = -INFINITE, level = -INFINITE;
    for (int64_t worker = 0; worker < scan->workers; worker++) {
        maximum = max_f64(maximum, thresholds[worker]);
        if (sums_of(scan)[3 * worker] > 0.0) level = max_f64(level, thresholds[worker]);
    }
    scan->threshold = maximum > (double)FAR_BELOW ? maximum : -INFINITE;
    scan->level = level = level > -INFINITE ? level : maximum;
    clear(scan->sums, sizeof scan->sums);
    for (int64_t worker = 0; worker < scan->workers; worker++) {
        double *sums = sums_of(scan) + 3 * worker;
        if (thresholds[worker] < level && sums[0] > 0.0) shift_sums(sums, (thresholds[worker] - level) * scan->inverse);
        for (int i = 0; i < 3; i++) scan->sums[i] += sums[i];
    }
}

/* Merge what the workers found, best rows first. Return how many rows to look up; 0 if the lists hold too few. */
EXPORT int64_t KERNEL(sort_scan)(Scan *scan) {
    add_sums(scan);
    int64_t starts[2] = {0, 0}, heavy = 0, wanted = 0;
    for (int64_t worker = 0; worker < scan->workers; worker++) starts[1] += counts_of(scan)[worker];
    const int64_t m = scan->listed = starts[1];
    double *scanned = scanned_of(scan);
    scan->known = scan->wanted = scan->heads = scan->heavy = 0;
    KERNEL(sort_candidates)(&(SortCandidates){
        .row_numbers = places_of(scan), .similarities = listed_of(scan), .counts = counts_of(scan), .starts = starts,
        .ordered = rows_of(scan), .descending = scanned, .memory = (uint8_t *)scratch_of(scan),
        .workers = scan->workers, .queries = 1, .room = scan->room, .m = m, .longest = m, .first = 0,
        .last = 1});
    copy(values_of(scan), scanned, m * (int64_t)sizeof *scanned);
    KERNEL(heavy_counts)(&(HeavyCounts){
        .similarities = scanned, .starts = starts, .inverse = &scan->inverse, .levels = &scan->level,
        .squares = scan->sums + 2, .counts = &heavy, .m = m, .queries = 1, .first = 0, .last = 1, .few = scan->few,
        .negligible = scan->negligible});
    const double margin = scan->margin * scan->error;
    KERNEL(initial_counts)(&(InitialCounts){
        .similarities = scanned, .starts = starts, .heavy = &heavy, .ks = &scan->k, .margins = &margin,
        .counts = &wanted, .m = m, .queries = 1, .maximum = scan->maximum, .times = scan->times});
    return scan->wanted = wanted;
}

INLINE const Block *block_with(const Coded *coded, int64_t row) {
    const Block *block = coded->blocks;
    while (block + 1 < coded->blocks + coded->count && block[1].codes.base <= row) block++;
    return block;
}

INLINE const float *original_of(const Coded *coded, int64_t row) {
    const Block *block = block_with(coded, row);
    return block->originals + (row - block->codes.base) * coded->width;
}

/* The similarities of the candidates from `known` to `wanted`, in float64. */
static void look_up(const Coded *coded, Scan *scan) {
    const int64_t *rows = rows_of(scan);
    double *values = values_of(scan);
    for (int64_t first = scan->known; first < scan->wanted; first += 4) {
        const int64_t count = min_i64(4, scan->wanted - first);
        const float *four[4];
        double products[6];
        for (int64_t i = 0; i < 4; i++) four[i] = original_of(coded, rows[first + min_i64(i, count - 1)]);
        for (int64_t ahead = first + 4; ahead < min_i64(first + 4 + AHEAD_ROWS, scan->wanted); ahead++)
            fetch_row(original_of(coded, rows[ahead]), coded->width);
        multiply_rows(4, 1, four, scan->vector, coded->width, products);
        for (int64_t i = 0; i < count; i++) {
            const Block *block = block_with(coded, rows[first + i]);
            double similarity = products[i] / scan->divisor;
            if (block->norms) {
                similarity = products[i] / (block->norms[rows[first + i] - block->codes.base] * scan->divisor);
                similarity = min_f64(max_f64(similarity, -1.0), 1.0);
            }
            values[first + i] = similarity;
        }
    }
    scan->known = scan->wanted;
}

/* List the heaviest rows, if several may share more than half of the weight, and no one of them, nor the null key, has it. */
static void list_heavy(Scan *scan, const double *weights, double null_weight) {
    double squares = 0.0, maximum = 0.0;
    for (int64_t i = 0; i < scan->listed; i++) squares += weights[i] * weights[i], maximum = max_f64(maximum, weights[i]);
    /* The weight of 128 rows is at most √(128 · Σ weight²), by Cauchy and Schwarz. */
    if (null_weight >= 0.5 || maximum > 0.5 || !(HEAVIEST * squares > 0.249)) return;
    scan->heavy = select_heaviest(weights, scan->listed, chosen_of(scan) + scan->heads);
}

/* Look up the wanted rows, and compute the softmax. Return 0 if that is done: then the first `heads` and the next `heavy`
 * of the chosen positions are the best rows, and the heaviest. Else return how many rows must be looked up to know the
 * best, which the next call does; -1 if the scan cannot tell. */
EXPORT int64_t KERNEL(weigh_scan)(const Coded *coded, Scan *scan) {
    const int64_t starts[2] = {0, scan->listed}, m = scan->listed;
    double *values = values_of(scan), *weights = weights_of(scan);
    const double support = 0.0, null[2] = {scan->null_similarity, scan->null_log_count};
    int64_t needed = -1;
    look_up(coded, scan);
    KERNEL(decisive_counts)(&(DecisiveCounts){
        .similarities = scanned_of(scan), .starts = starts, .rescored = values, .counts = &scan->known, .ks = &scan->k,
        .supports = &support, .thresholds = &scan->threshold, .errors = &scan->error, .needed = &needed,
        .heap = scratch_of(scan), .m = m, .known = scan->known, .queries = 1, .maximum = scan->maximum,
        .times = scan->times});
    if (needed < 0) return -1;
    if (needed > scan->known) return scan->wanted = needed;
    KERNEL(softmax_weights)(&(SoftmaxWeights){
        .values = values, .starts = starts, .counts = &scan->known, .temperatures = &scan->temperature,
        .thresholds = &scan->level, .sums = scan->sums, .nulls = null, .weights = weights, .factors = &scan->factor,
        .totals = scan->totals, .m = m, .cases = 1, .bands = 1, .first = 0, .last = 1});
    scan->heaviest = 0.0;
    for (int64_t i = 0; i < scan->known; i++) scan->heaviest = max_f64(scan->heaviest, weights[i]);
    scan->heads = select_best(values, rows_of(scan), 0, scan->known, min_i64(scan->cap, scan->known), scratch_of(scan),
                              chosen_of(scan));
    list_heavy(scan, weights, scan->totals[1]);
    return 0;
}
