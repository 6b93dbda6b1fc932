/* What the passes over the 8-bit codes of keys read and fill, and the passes themselves. */
#pragma once
#include "lanes.h"

static const float FAR_BELOW = -3e38f; /* below every similarity: the threshold that all rows reach */

typedef struct {
    const uint8_t *codes;   /* uint8[groups, length, 16, 4] */
    const float *scales;    /* [rows], of a code's unit */
    const uint8_t *allowed; /* bool[rows] */
    const float *addends;   /* [rows] within ±1e30, or null */
    int64_t rows, length, base;
} Keys;

typedef struct {
    const int32_t *planes;  /* int32[lines, length · PLANE_WORDS] */
    const int32_t *offsets; /* [count], the part of a product that comes from the 128 added to each code */
    const float *steps;     /* [count]; similarity = product · scale · step + addend */
    int64_t lines, count;
    int64_t each; /* lines of a query: 2 if the first has the upper bytes, else 1 */
} Queries;

typedef struct {
    const float *thresholds; /* [count] */
    int64_t *places;         /* int64[count, room] */
    float *similarities;     /* float32[count, room] */
    int64_t *counts;         /* [count], the used lengths */
    int64_t room;
} Lists;

/* Each is described where it is written. */
EXPORT int64_t KERNEL(accumulate)(const Keys *keys, int64_t first, const Queries *queries, const Lists *lists,
                                  const float *inverse, double *sums, float *weights, int64_t width);
EXPORT void KERNEL(sample_top)(const Keys *keys, const Queries *queries, float *best, int64_t room);
