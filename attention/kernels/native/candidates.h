/* Kernels over the candidates that a scan listed; candidates.c describes each. */
#pragma once
#include "lanes.h"

EXPORT int64_t KERNEL(sort_candidates)(const int64_t *row_numbers, const float *similarities, const int64_t *counts,
                                    int64_t workers, int64_t queries, int64_t room, const int64_t *starts,
                                    int64_t first, int64_t last, int64_t longest, uint8_t *scratch, int64_t *ordered,
                                    double *descending, int64_t m);
EXPORT int64_t KERNEL(heavy_counts)(const double *similarities, int64_t m, const int64_t *starts, const double *inverse,
                                    const double *levels, const double *squares, double few, double negligible,
                                    int64_t first, int64_t last, int64_t *counts);
EXPORT int64_t KERNEL(initial_counts)(const double *similarities, int64_t m, const int64_t *starts, const int64_t *heavy,
                                      const int64_t *ks, const double *margins, int64_t queries, int64_t maximum,
                                      int64_t times, int64_t *counts);
EXPORT int64_t KERNEL(decisive_counts)(const double *similarities, int64_t m, const int64_t *starts,
                                       const double *rescored, const int64_t *counts, const int64_t *ks,
                                       const double *supports, const double *thresholds, const double *errors,
                                       int64_t queries, int64_t maximum, int64_t times, double *heap, int64_t *needed);
EXPORT int64_t KERNEL(softmax_weights)(const double *values, int64_t m, const int64_t *starts, const int64_t *counts,
                                       const double *temperatures, const double *thresholds, const double *sums,
                                       const double *nulls, int64_t bands, int64_t first, int64_t last,
                                       double *weights, double *factors, double *totals);
