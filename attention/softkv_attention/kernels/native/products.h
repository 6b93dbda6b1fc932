/* Products of packed rows with a panel of columns, by vectors or by AMX, the matrix unit.
 *
 *     c[row, column] = Σ a[row, word] · b[word, column]     words in ascending order, each product fused with its sum
 *
 * A word of four bytes holds one float32, two bfloat16 or two int16, the first in its lower half. `a` is rows of words,
 * `b` a panel: some columns of a matrix side by side, a line of them for each word. All sums of a block of rows stay in
 * registers, and each is added in the order of the words, however many rows are multiplied at a time. So the vector of
 * a text does not depend on its neighbours.
 *
 * Integers come in groups of GROUP inputs. The words of a group are followed by one more: the float32 that its integers
 * are multiples of, of a row, or of each column. A group's products are summed exactly, in 32 bits:
 *
 *     c[row, column] = Σ over groups: (Σ a[row, number] · b[number, column]) · (unit of the row · unit of the column)
 *
 * A row's integers reach ±LARGEST. `parameters.py` rounds each column of a group so that the sum of its |b| is below
 * 2³¹ / LARGEST. So no sum overflows, and columns of few large numbers keep more digits of the others. */
#pragma once

#include "lanes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif

/* How numbers are packed and multiplied: float32; integers of 16 bits; bfloat16 by tiles; float32 by three products of
 * tiles. For the last a number has two parts: the nearest bfloat16, and the bfloat16 nearest to the rest. */
enum { FLOAT32, INT16, TILES, THREE };

/* Integers of 16 bits: the inputs of a group, its words, and the largest integer of a row. */
enum { GROUP = 128, GROUP_WORDS = GROUP / 2 + 1, LARGEST = 12287 };

/* Whether there are 32 registers of 16 numbers. Tests set it to compute with the wide panels on other processors. */
#ifndef WIDE
#if defined(__AVX512F__)
#define WIDE 1
#else
#define WIDE 0
#endif
#endif

#if defined(__AMX_BF16__)
#define HAS_UNIT 1
#else
#define HAS_UNIT 0
#endif

enum {
    COLUMNS = WIDE ? 32 : 16, /* of a panel for vectors; 16 of depth 384 are 24 kB, and stay in the L1 cache */
    MAX_ROWS = WIDE ? 12 : 6, /* rows whose sums fit into registers: 24 of AVX-512's 32, or 12 of AVX2's 16 */
    SIDES = COLUMNS / LANES,
    TILE_COLUMNS = 32, /* of a panel for tiles; widths of heads and layers are multiples of it */
    TILE_ROWS = 16,
    TILE_WORDS = 16,
    AHEAD = 64,    /* words to prefetch into the L2 cache: saves a tenth to a fifth of the time of one short text */
    FEW_BLOCKS = 4 /* up to this number of blocks, multiplying takes less time than loading the next panel */
};

/* Packed rows, or a panel: lines of words. */
typedef struct {
    const int32_t *start;
    int64_t stride; /* words from one line to the next */
    int64_t behind; /* words from the first part of a number to the second, if it has two */
} Lines;

INLINE int64_t columns_of(int64_t way) { return way >= TILES ? TILE_COLUMNS : COLUMNS; }
INLINE int64_t blocks_of(int64_t count, int64_t size) { return (count + size - 1) / size; }

/* How many words hold some packed numbers; the last group of integers may be filled with zeros. */
INLINE int64_t words_of(int64_t way, int64_t numbers) {
    return way == FLOAT32 ? numbers : way == INT16 ? blocks_of(numbers, GROUP) * GROUP_WORDS : numbers / 2;
}
INLINE int64_t rounded_up(int64_t count, int64_t size) { return blocks_of(count, size) * size; }

/* total + row · column, of float32; or of both bfloat16 of each word, the lower one first. */
INLINE f32x16 multiply_words(const int way, i32x16 row, i32x16 column, f32x16 total) {
    if (way == FLOAT32) return fma_f32x16((f32x16)row, (f32x16)column, total);
    const i32x16 upper = (int32_t)0xFFFF0000;
    total = fma_f32x16((f32x16)(row << 16), (f32x16)(column << 16), total);
    return fma_f32x16((f32x16)(row & upper), (f32x16)(column & upper), total);
}

/* total + both products of each word. The compiler splits VNNI's instruction into two, so it is written as it is; tests
   that imitate a processor on one without registers of 512 bits compile the next form, of the same sums. */
INLINE i32x16 multiply_pairs(i32x16 row, i32x16 column, i32x16 total) {
#if defined(__AVX512VNNI__) && defined(__AVX512F__)
    __asm__("vpdpwssd %2, %1, %0" : "+v"(total) : "v"(row), "v"(column));
    return total;
#elif defined(__AVX512BW__)
    return total + (i32x16)_mm512_madd_epi16((__m512i)row, (__m512i)column);
#elif defined(__AVXVNNI__)
    i32x8 lower = total.lo, upper = total.hi;
    __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(lower) : "x"(row.lo), "x"(column.lo));
    __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(upper) : "x"(row.hi), "x"(column.hi));
    total.lo = lower, total.hi = upper;
    return total;
#elif defined(__AVX2__)
    total.lo += (i32x8)_mm256_madd_epi16((__m256i)row.lo, (__m256i)column.lo);
    total.hi += (i32x8)_mm256_madd_epi16((__m256i)row.hi, (__m256i)column.hi);
    return total;
#elif defined(__aarch64__)
    const int16x4_t lower = vmovn_s32((int32x4_t)row.s0123), upper = vshrn_n_s32((int32x4_t)row.s0123, 16);
#define QUARTER(part)                                                                                                  \
    total.part = (i32x4)vmlal_s16(vmlal_s16((int32x4_t)total.part, vmovn_s32((int32x4_t)column.part), lower),          \
                                  vshrn_n_s32((int32x4_t)column.part, 16), upper);
    QUARTER(s0123) QUARTER(s4567) QUARTER(s89ab) QUARTER(scdef)
#undef QUARTER
    return total;
#else
    return total + (row << 16 >> 16) * (column << 16 >> 16) + (row >> 16) * (column >> 16);
#endif
}

/* The same as `rows_by_panel` for integers: `length` words of whole groups. */
INLINE void rows_by_integers(const int count, const int32_t *a, int64_t a_stride, const int32_t *b, int64_t b_stride,
                             int64_t length, float *c, int64_t c_stride, int goes_on, int64_t ahead) {
    for (int64_t group = 0; group < length; group += GROUP_WORDS, a += GROUP_WORDS, goes_on = 1) {
        i32x16 totals[MAX_ROWS][SIDES] = {0};
        for (int64_t step = 0; step < GROUP_WORDS - 1; step++, b += b_stride) {
            i32x16 columns[SIDES];
            UNROLLED for (int side = 0; side < SIDES; side++) {
                __builtin_prefetch(b + ahead + LANES * side, 0, 2);
                columns[side] = LOAD(i32x16, b + LANES * side);
            }
            UNROLLED for (int row = 0; row < count; row++) {
                const i32x16 factor = a[row * a_stride + step];
                UNROLLED for (int side = 0; side < SIDES; side++)
                    totals[row][side] = multiply_pairs(factor, columns[side], totals[row][side]);
            }
        }
        UNROLLED for (int side = 0; side < SIDES; side++) {
            const f32x16 units = LOAD(f32x16, b + LANES * side);
            UNROLLED for (int row = 0; row < count; row++) {
                const float unit = LOAD(float, a + row * a_stride + GROUP_WORDS - 1);
                float *into = c + row * c_stride + LANES * side;
                const f32x16 before = goes_on ? LOAD(f32x16, into) : (f32x16)0.0f;
                STORE(into, fma_f32x16(to_f32x16(totals[row][side]), units * unit, before));
            }
        }
        b += b_stride;
    }
}

/* c = a · b, or c + a · b if it `goes_on`, for a[count, length], b[length, COLUMNS] and c[count, COLUMNS].
 *
 * The registers are count · SIDES sums, SIDES columns of the panel, and one word of a row in all lanes. A step of AVX2
 * has 8 loads for 12 multiplications. `ahead`: words from a line of the panel to the one that is prefetched. */
INLINE void rows_by_panel(const int way, const int count, const int32_t *a, int64_t a_stride, const int32_t *b,
                          int64_t b_stride, int64_t length, float *c, int64_t c_stride, int goes_on, int64_t ahead) {
    if (way == INT16) {
        rows_by_integers(count, a, a_stride, b, b_stride, length, c, c_stride, goes_on, ahead);
        return;
    }
    f32x16 totals[MAX_ROWS][SIDES];
    UNROLLED for (int row = 0; row < count; row++)
        UNROLLED for (int side = 0; side < SIDES; side++)
            totals[row][side] = goes_on ? LOAD(f32x16, c + row * c_stride + LANES * side) : (f32x16)0.0f;
    for (int64_t step = 0; step < length; step++, b += b_stride) {
        i32x16 columns[SIDES];
        UNROLLED for (int side = 0; side < SIDES; side++) {
            __builtin_prefetch(b + ahead + LANES * side, 0, 2);
            columns[side] = LOAD(i32x16, b + LANES * side);
        }
        UNROLLED for (int row = 0; row < count; row++) {
            const i32x16 factor = a[row * a_stride + step];
            UNROLLED for (int side = 0; side < SIDES; side++)
                totals[row][side] = multiply_words(way, factor, columns[side], totals[row][side]);
        }
    }
    UNROLLED for (int row = 0; row < count; row++)
        UNROLLED for (int side = 0; side < SIDES; side++) STORE(c + row * c_stride + LANES * side, totals[row][side]);
}

/* A function for each number of rows: inlined into one, they would share registers badly. */
typedef void Block(const int32_t *, int64_t, const int32_t *, int64_t, int64_t, float *, int64_t, int, int64_t);

#define BLOCK(way, count)                                                                                              \
    OUTLINED void way##_##count(const int32_t *a, int64_t a_stride, const int32_t *b, int64_t b_stride,                \
                                int64_t length, float *c, int64_t c_stride, int goes_on, int64_t ahead) {              \
        rows_by_panel(way, count, a, a_stride, b, b_stride, length, c, c_stride, goes_on, ahead);                      \
    }
#define NAME(way, count) way##_##count,
#define UP_TO_6(apply, way) apply(way, 1) apply(way, 2) apply(way, 3) apply(way, 4) apply(way, 5) apply(way, 6)
#define FROM_7_TO_12(apply, way) apply(way, 7) apply(way, 8) apply(way, 9) apply(way, 10) apply(way, 11) apply(way, 12)
#if WIDE
#define UP_TO_MAX(apply, way) UP_TO_6(apply, way) FROM_7_TO_12(apply, way)
#else
#define UP_TO_MAX(apply, way) UP_TO_6(apply, way)
#endif

UP_TO_MAX(BLOCK, FLOAT32)
UP_TO_MAX(BLOCK, INT16)
#if HAS_UNIT
static Block *const BLOCKS[][MAX_ROWS] = {{UP_TO_MAX(NAME, FLOAT32)}, {UP_TO_MAX(NAME, INT16)}};
#else
UP_TO_MAX(BLOCK, TILES)
static Block *const BLOCKS[][MAX_ROWS] = {
    {UP_TO_MAX(NAME, FLOAT32)}, {UP_TO_MAX(NAME, INT16)}, {UP_TO_MAX(NAME, TILES)}};
#endif

/* c[: rows] = a · b, or c + a · b, by vectors. */
OUTLINED void by_vectors(int64_t way, int64_t rows, const int32_t *a, int64_t a_stride, const int32_t *b,
                         int64_t b_stride, int64_t length, float *c, int64_t c_stride, int goes_on) {
    /* If rows take a few blocks, prefetch the next panel from memory while this one is multiplied again. */
    const int64_t ahead = (!WIDE && MAX_ROWS < rows && rows <= FEW_BLOCKS * MAX_ROWS ? length : AHEAD) * b_stride;
    for (int64_t line = 0; line < rows;) {
        /* Blocks of similar size (13 rows are 7 and 6), because every block reads the whole panel. */
        const int64_t left = rows - line, count = blocks_of(left, blocks_of(left, MAX_ROWS));
        BLOCKS[way][count - 1](a + line * a_stride, a_stride, b, b_stride, length, c + line * c_stride, c_stride,
                               goes_on, ahead);
        line += count;
    }
}

#if HAS_UNIT
/* What ldtilecfg reads: palette 1, and eight tiles of 16 rows of 64 bytes. */
static const struct {
    uint8_t palette, unused[15];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} SHAPES = {1, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};

/* Each thread takes the unit before it multiplies with tiles, and leaves it afterwards. */
INLINE void take_unit(void) { _tile_loadconfig(&SHAPES); }
INLINE void leave_unit(void) { _tile_release(); }

/* Tiles 0 to 3 += 16 or 32 rows · a panel. A step multiplies 16 words, 32 bfloat16, of each row: TDPBF16PS.
 *
 *                          6: columns 0 to 15    7: columns 16 to 31
 *     4: rows 0 to 15      tile 0                tile 1
 *     5: rows 16 to 31     tile 2                tile 3
 *
 * A panel already has the layout of tiles 6 and 7: 16 lines of 16 words. */
INLINE void add_tiles(const int sixteens, const int32_t *a, int64_t a_stride, const int32_t *b, int64_t b_stride,
                      int64_t length) {
    for (int64_t step = 0; step < length; step += TILE_WORDS) {
        _tile_loadd(4, a + step, 4 * a_stride);
        if (sixteens == 2) _tile_loadd(5, a + TILE_ROWS * a_stride + step, 4 * a_stride);
        _tile_loadd(6, b + step * b_stride, 4 * b_stride);
        _tile_dpbf16ps(0, 4, 6);
        if (sixteens == 2) _tile_dpbf16ps(2, 5, 6);
        _tile_loadd(7, b + step * b_stride + LANES, 4 * b_stride);
        _tile_dpbf16ps(1, 4, 7);
        if (sixteens == 2) _tile_dpbf16ps(3, 5, 7);
    }
}

/* c = a · b, or c + a · b, for 16 or 32 rows. With two `parts`: high · high, then low · high, then high · low. The
 * fourth product is below the error of the sum. */
INLINE void rows_by_tiles(const int sixteens, const int parts, Lines a, Lines b, int64_t length, float *c,
                          int64_t c_stride, int goes_on) {
    float *below = c + TILE_ROWS * c_stride;
    if (goes_on) {
        _tile_loadd(0, c, 4 * c_stride);
        _tile_loadd(1, c + LANES, 4 * c_stride);
        if (sixteens == 2) _tile_loadd(2, below, 4 * c_stride);
        if (sixteens == 2) _tile_loadd(3, below + LANES, 4 * c_stride);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        if (sixteens == 2) _tile_zero(2);
        if (sixteens == 2) _tile_zero(3);
    }
    add_tiles(sixteens, a.start, a.stride, b.start, b.stride, length);
    if (parts == 2) {
        add_tiles(sixteens, a.start + a.behind, a.stride, b.start, b.stride, length);
        add_tiles(sixteens, a.start, a.stride, b.start + b.behind, b.stride, length);
    }
    _tile_stored(0, c, 4 * c_stride);
    _tile_stored(1, c + LANES, 4 * c_stride);
    if (sixteens == 2) _tile_stored(2, below, 4 * c_stride);
    if (sixteens == 2) _tile_stored(3, below + LANES, 4 * c_stride);
}

/* c[: rows] = a · b, or c + a · b, by tiles, which read and write multiples of 16 rows. */
OUTLINED void by_tiles(int64_t way, int64_t rows, Lines a, Lines b, int64_t length, float *c, int64_t c_stride,
                       int goes_on) {
    for (int64_t line = 0; line < rows; line += 2 * TILE_ROWS, a.start += 2 * TILE_ROWS * a.stride) {
        float *into = c + line * c_stride;
        const int two = rows - line > TILE_ROWS;
        if (way == THREE && two) rows_by_tiles(2, 2, a, b, length, into, c_stride, goes_on);
        else if (way == THREE) rows_by_tiles(1, 2, a, b, length, into, c_stride, goes_on);
        else if (two) rows_by_tiles(2, 1, a, b, length, into, c_stride, goes_on);
        else rows_by_tiles(1, 1, a, b, length, into, c_stride, goes_on);
    }
}
#else
INLINE void take_unit(void) {}
INLINE void leave_unit(void) {}

/* The same by vectors, for processors without the unit: only tests call it. */
OUTLINED void by_tiles(int64_t way, int64_t rows, Lines a, Lines b, int64_t length, float *c, int64_t c_stride,
                       int goes_on) {
    for (int64_t column = 0; column < TILE_COLUMNS; column += COLUMNS)
        for (int product = 0; product < (way == THREE ? 3 : 1); product++) {
            const int32_t *factors = a.start + (product == 1 ? a.behind : 0);
            const int32_t *panel = b.start + (product == 2 ? b.behind : 0) + column;
            by_vectors(TILES, rows, factors, a.stride, panel, b.stride, length, c + column, c_stride,
                       goes_on || product > 0);
        }
}
#endif

/* c[: rows] = a · b, or c + a · b: `columns_of(way)` columns. `length`: the words of a row; for tiles a multiple of
 * 16. */
INLINE void multiply(int64_t way, int64_t rows, Lines a, Lines b, int64_t length, float *c, int64_t c_stride,
                     int goes_on) {
    if (way >= TILES) by_tiles(way, rows, a, b, length, c, c_stride, goes_on);
    else by_vectors(way, rows, a.start, a.stride, b.start, b.stride, length, c, c_stride, goes_on);
}
