/* Kernels over candidates, the rows that a scan listed for each query; candidates.c has them.
 *
 * Arrays hold the m candidates of all queries. Run i, that of query i, is the part from starts[i] to starts[i + 1].
 * Kernels with `first` and `last` process only these queries. Each takes a structure, whose fields have the order of the
 * kernel's row in binding.py. Each returns -1, or the number of a refused run, before it reads a candidate of it. */
#pragma once
#include "lanes.h"

typedef struct {
    const int64_t *row_numbers; /* int64[workers, queries, room], the lists of several workers */
    const float *similarities;  /* float32[workers, queries, room] */
    const int64_t *counts;      /* int64[workers, queries], the used lengths of the lists */
    const int64_t *starts;      /* int64[queries + 1] */
    int64_t *ordered;           /* int64[m], filled with row numbers */
    double *descending;         /* float64[m], filled with similarities */
    uint8_t *memory;            /* scratch, 28 bytes for each of `longest` rows, at a multiple of 8 */
    int64_t workers, queries, room, m, longest, first, last;
} SortCandidates;

typedef struct {
    const double *similarities; /* float64[m], each run descending */
    const int64_t *starts;      /* int64[queries + 1] */
    const double *inverse;      /* float64[queries], 1/T */
    const double *levels;       /* float64[queries], the similarities that `squares` are relative to */
    const double *squares;      /* float64[queries], Σe² over summed rows */
    int64_t *counts;            /* int64[queries], filled */
    int64_t m, queries, first, last;
    double few, negligible;
} HeavyCounts;

typedef struct {
    const double *similarities; /* float64[m], each run descending */
    const int64_t *starts;      /* int64[queries + 1] */
    const int64_t *heavy;       /* int64[queries], of `heavy_counts` */
    const int64_t *ks;          /* int64[queries] */
    const double *margins;      /* float64[queries] */
    int64_t *counts;            /* int64[queries], filled */
    int64_t m, queries, maximum, times;
} InitialCounts;

typedef struct {
    const double *similarities; /* float64[m], each run descending */
    const int64_t *starts;      /* int64[queries + 1] */
    const double *rescored;     /* float64[known], exact similarities of the first candidates of each run */
    const int64_t *counts;      /* int64[queries], how many of each run; their sum is `known` */
    const int64_t *ks;          /* int64[queries] */
    const double *supports, *thresholds, *errors; /* float64[queries] */
    int64_t *needed;            /* int64[queries], filled */
    double *heap;               /* scratch float64[known / 2 + 1] */
    int64_t m, known, queries, maximum, times;
} DecisiveCounts;

typedef struct {
    const double *values;       /* float64[m] */
    const int64_t *starts;      /* int64[cases + 1]; a case is one query at one temperature */
    const int64_t *counts;      /* int64[cases], how many first candidates are known in float64, at least 1 */
    const double *temperatures; /* float64[cases] */
    const double *thresholds;   /* float64[cases, bands] */
    const double *sums;         /* float64[cases, bands, 3], Σe, Σe·x, Σe² of the rows below a threshold */
    const double *nulls;        /* float64[cases, 2], the null key's similarity and the logarithm of its count */
    double *weights;            /* float64[m], filled */
    double *factors;            /* float64[cases, bands], filled: they turn a mass into weight */
    double *totals;             /* float64[cases, 10], filled with the fields of `Totals` */
    int64_t m, cases, bands, first, last;
} SoftmaxWeights;

EXPORT int64_t KERNEL(sort_candidates)(const SortCandidates *call);
EXPORT int64_t KERNEL(heavy_counts)(const HeavyCounts *call);
EXPORT int64_t KERNEL(initial_counts)(const InitialCounts *call);
EXPORT int64_t KERNEL(decisive_counts)(const DecisiveCounts *call);
EXPORT int64_t KERNEL(softmax_weights)(const SoftmaxWeights *call);
