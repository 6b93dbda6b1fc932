/* The k largest of some numbers, and all that tie with the k-th. */
#pragma once
#include "lanes.h"

enum { HEAVIEST = 128 }; /* the most rows that are listed by weight */

/* The k-th largest of `count` values, 1 <= k <= count, by a heap in scratch float64[count / 2 + 1]. */
INLINE double kth_largest(const double *values, int64_t count, int64_t k, double *heap) {
    /* If k is large, find the (count − k + 1)-th smallest instead, by negating all values. */
    const double sign = 2 * k <= count ? 1.0 : -1.0;
    const int64_t size = 2 * k <= count ? k : count - k + 1;
    int64_t filled = 0;
    for (int64_t i = 0; i < count; i++) {
        const double number = sign * values[i];
        if (filled < size) {
            int64_t place = filled++;
            for (; place > 0 && heap[(place - 1) / 2] > number; place = (place - 1) / 2) heap[place] = heap[(place - 1) / 2];
            heap[place] = number;
        } else if (number > heap[0]) {
            int64_t place = 0;
            for (int64_t child = 1; child < size; child = 2 * place + 1) {
                if (child + 1 < size && heap[child + 1] < heap[child]) child++;
                if (heap[child] >= number) break;
                heap[place] = heap[child];
                place = child;
            }
            heap[place] = number;
        }
    }
    return sign * heap[0];
}

/* Whether index a comes before index b: by value, largest first, then by number; without numbers, by index. */
INLINE int precedes(const double *values, const int64_t *numbers, int64_t a, int64_t b) {
    if (values[a] != values[b]) return values[a] > values[b];
    return numbers ? numbers[a] < numbers[b] : a < b;
}

/* Sort indices in the order of `precedes`, by Shell's method: they are mostly in order already, but many may be equal. */
INLINE void sort_best(const double *values, const int64_t *numbers, int64_t count, int64_t *chosen) {
    int64_t gap = 1;
    while (3 * gap < count) gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3)
        for (int64_t i = gap; i < count; i++) {
            const int64_t row = chosen[i];
            int64_t place = i;
            for (; place >= gap && precedes(values, numbers, row, chosen[place - gap]); place -= gap)
                chosen[place] = chosen[place - gap];
            chosen[place] = row;
        }
}

/* Write the indices of the k largest of values[first : first + count] and of all that tie with the k-th, in the order of
 * `precedes`, to chosen int64[count]; return their count. heap: scratch float64[count / 2 + 1]. */
INLINE int64_t select_best(const double *values, const int64_t *numbers, int64_t first, int64_t count, int64_t k,
                           double *heap, int64_t *chosen) {
    if (k <= 0) return 0;
    const double kth = kth_largest(values + first, count, k, heap);
    int64_t end = 0;
    for (int64_t row = first; row < first + count; row++)
        if (values[row] >= kth) chosen[end++] = row;
    sort_best(values, numbers, end, chosen);
    return end;
}

/* Write the indices of the 128 largest of n masses from 0 to 1 to chosen int64[n], largest first, ties by index; return their
 * count. The upper bits of a float64 are its logarithm, roughly: 16 bins for each power of two. */
INLINE int64_t select_heaviest(const double *masses, int64_t n, int64_t *chosen) {
    enum { BINS = 1024, SHIFT = 48 };
    const double one = 1.0;
    int32_t bins[BINS];
#define BIN_OF(mass) min_i64(BINS - 1, (LOAD(int64_t, &one) - LOAD(int64_t, mass)) >> SHIFT)
    clear(bins, sizeof bins);
    for (int64_t row = 0; row < n; row++) bins[BIN_OF(masses + row)]++;
    int64_t last = 0, end = 0;
    for (int64_t count = bins[0]; last < BINS - 1 && count < HEAVIEST; count += bins[last]) last++;
    for (int64_t row = 0; row < n; row++)
        if (BIN_OF(masses + row) <= last) chosen[end++] = row;
#undef BIN_OF
    sort_best(masses, 0, end, chosen);
    return min_i64(HEAVIEST, end);
}
