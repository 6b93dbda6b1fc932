/* Products of bytes, 64 rows at a time, by the best dot-product instruction of each kind of processor.
 *
 * | processor    | instruction             | rows of a register | bits of a query's number |
 * |--------------|-------------------------|--------------------|--------------------------|
 * | AVX-512 VNNI | vpdpbusd zmm            | 16                 | 8                        |
 * | AVX-VNNI     | vpdpbusd ymm            | 8                  | 8                        |
 * | AVX-512BW    | 2 vpmaddwd, 2 vpaddd    | 16                 | 16                       |
 * | AVX2         | 2 vpmaddwd, 2 vpaddd    | 8                  | 16                       |
 * | ARM, i8mm    | usdot                   | 4                  | 8                        |
 * | ARM, dotprod | eor, sdot               | 4                  | 8                        |
 * | any other    | products of 16 bits     | 4                  | 16                       |
 *
 * A register holds four unsigned bytes of some rows: codes with 128 added. An instruction adds their products with four
 * numbers of a query to the 32-bit sum of each row. Where a query's numbers have 8 bits, a 16-bit query is split into
 * two planes of 8 bits, and the products of the first count 256 times. Sums wrap around at 32 bits; what is left after
 * the caller has subtracted the part of the added 128 fits into 32 bits, so all results are exact.
 *
 * Each kind defines: ROWS and REGISTERS of the processor; PLANE_WORDS, int32 of a plane for four numbers of a query; the
 * types `sums` and `keys`; `broadcast`, of one int32; `prepare`, of a register of codes, once for all queries; and
 * `add_products`. */
#pragma once
#include "lanes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif

#if defined(__AVX512VNNI__)
enum { ROWS = 16, REGISTERS = 32, PLANE_WORDS = 1 };
typedef __m512i sums, keys;
INLINE sums broadcast(int32_t word) { return _mm512_set1_epi32(word); }
INLINE keys prepare(sums codes) { return codes; }
INLINE sums add_products(sums total, keys codes, const sums *numbers) {
    return _mm512_dpbusd_epi32(total, codes, numbers[0]);
}
#elif defined(__AVXVNNI__)
enum { ROWS = 8, REGISTERS = 16, PLANE_WORDS = 1 };
typedef __m256i sums, keys;
INLINE sums broadcast(int32_t word) { return _mm256_set1_epi32(word); }
INLINE keys prepare(sums codes) { return codes; }
INLINE sums add_products(sums total, keys codes, const sums *numbers) {
    return _mm256_dpbusd_avx_epi32(total, codes, numbers[0]);
}
#elif defined(__ARM_FEATURE_MATMUL_INT8)
enum { ROWS = 4, REGISTERS = 32, PLANE_WORDS = 1 };
typedef int32x4_t sums;
typedef uint8x16_t keys;
INLINE sums broadcast(int32_t word) { return vdupq_n_s32(word); }
INLINE keys prepare(sums codes) { return vreinterpretq_u8_s32(codes); }
INLINE sums add_products(sums total, keys codes, const sums *numbers) {
    return vusdotq_s32(total, codes, vreinterpretq_s8_s32(numbers[0]));
}
#elif defined(__ARM_FEATURE_DOTPROD)
enum { ROWS = 4, REGISTERS = 32, PLANE_WORDS = 1 };
typedef int32x4_t sums;
typedef int8x16_t keys;
INLINE sums broadcast(int32_t word) { return vdupq_n_s32(word); }
INLINE keys prepare(sums codes) { return vreinterpretq_s8_u8(veorq_u8(vreinterpretq_u8_s32(codes), vdupq_n_u8(128))); }
INLINE sums add_products(sums total, keys codes, const sums *numbers) {
    return vdotq_s32(total, codes, vreinterpretq_s8_s32(numbers[0]));
}
#else
/* Pairs of 16-bit numbers: a word's bytes c0 c1 c2 c3 become (c0, c2) by a mask and (c1, c3) by a shift. */
#define WIDE 1
enum { PLANE_WORDS = 2 };
#if defined(__AVX512BW__)
enum { ROWS = 16, REGISTERS = 32 };
typedef __m512i sums;
INLINE sums multiply_pairs(sums a, sums b) { return _mm512_madd_epi16(a, b); }
#elif defined(__AVX2__)
enum { ROWS = 8, REGISTERS = 16 };
typedef __m256i sums;
INLINE sums multiply_pairs(sums a, sums b) { return _mm256_madd_epi16(a, b); }
#else
enum { ROWS = 4, REGISTERS = 32 };
typedef int32x4_t sums;
INLINE sums multiply_pairs(sums a, sums b) {
    int16x8_t one = vreinterpretq_s16_s32(a), other = vreinterpretq_s16_s32(b);
    return vpaddq_s32(vmull_s16(vget_low_s16(one), vget_low_s16(other)), vmull_high_s16(one, other));
}
#endif
typedef int32_t row_words __attribute__((vector_size(4 * ROWS)));
typedef uint16_t row_halves __attribute__((vector_size(4 * ROWS)));
typedef struct {
    sums even, odd;
} keys;
INLINE sums broadcast(int32_t word) { return (sums)((row_words){0} + word); }
INLINE keys prepare(sums codes) {
    return (keys){(sums)((row_words)codes & 0x00FF00FF), (sums)((row_halves)codes >> 8)};
}
INLINE sums add_products(sums total, keys codes, const sums *numbers) {
    row_words even = (row_words)multiply_pairs(codes.even, numbers[0]);
    row_words odd = (row_words)multiply_pairs(codes.odd, numbers[1]);
    return (sums)((row_words)total + even + odd);
}
#endif

enum { PARTS = LANES / ROWS }; /* registers of 16 rows */

/* How many groups of 16 rows are multiplied at a time with some queries: their sums take half of all registers. */
#define GROUPS_OF(queries)                                                                                             \
    (REGISTERS / 2 * ROWS / (LANES * (queries)) > GROUPS ? GROUPS                                                      \
     : REGISTERS / 2 * ROWS / (LANES * (queries)) < 1    ? 1                                                           \
                                                         : REGISTERS / 2 * ROWS / (LANES * (queries)))

/* Products of `groups` groups of 16 rows with `queries` queries. All sums stay in registers, and each load of codes
 * serves every query. The next 64 rows are prefetched, unless 64 rows take several passes.
 *
 * rows: uint8[groups, length, 16, 4]; planes: int32[queries, length · PLANE_WORDS]; products: int32[queries, 64]. */
INLINE void multiply_block(const int queries, const int groups, const uint8_t *rows, const int32_t *planes,
                           int64_t length, int32_t *products) {
    const int count = groups * PARTS, ahead = queries <= 2 || groups == GROUPS;
    sums totals[4][GROUPS * PARTS] = {0};
    for (int64_t step = 0; step < length; step++) {
        keys codes[GROUPS * PARTS];
        UNROLLED for (int number = 0; number < count; number++) {
            const uint8_t *from = rows + (length * (number / PARTS) + step) * LINE + number % PARTS * DEEP * ROWS;
            codes[number] = prepare(LOAD(sums, from));
            if (ahead && number % PARTS == 0) __builtin_prefetch(from + length * (GROUPS * LINE), 0, 2);
        }
        UNROLLED for (int query = 0; query < queries; query++) {
            sums numbers[PLANE_WORDS];
            UNROLLED for (int word = 0; word < PLANE_WORDS; word++)
                numbers[word] = broadcast(planes[(query * length + step) * PLANE_WORDS + word]);
            UNROLLED for (int number = 0; number < count; number++)
                totals[query][number] = add_products(totals[query][number], codes[number], numbers);
        }
    }
    UNROLLED for (int query = 0; query < queries; query++)
        UNROLLED for (int number = 0; number < count; number++)
            STORE(products + PANEL * query + ROWS * number, totals[query][number]);
}

#define MULTIPLY(queries)                                                                                              \
    OUTLINED void multiply_##queries(const uint8_t *rows, const int32_t *planes, int64_t length, int32_t *products) {  \
        for (int group = 0; group < GROUPS; group += GROUPS_OF(queries))                                               \
            multiply_block(queries, GROUPS_OF(queries), rows + group * length * LINE, planes, length,                  \
                           products + group * LANES);                                                                  \
    }
MULTIPLY(1)
MULTIPLY(2)
MULTIPLY(4)

#if defined(__AMX_INT8__)
/* The matrix unit (AMX): eight tile registers of 16 rows of 64 bytes. tdpbsud adds to sums int32[16 queries, 16 rows] the
 * products of 16 queries int8[16, 64] with 16 words of 16 rows uint8[16, 64], signed by unsigned. The stored codes have
 * the layout of one factor, packed queries that of the other. */
enum { TILE = 16, TILE_BYTES = 64 };

/* The operand of ldtilecfg: palette 1; of each tile the bytes of a row (16 bits) and the number of rows. */
static const uint8_t SHAPES[64] __attribute__((aligned(64))) = {
    [0] = 1,   [16] = 64, [18] = 64, [20] = 64, [22] = 64, [24] = 64, [26] = 64, [28] = 64, [30] = 64,
    [48] = 16, [49] = 16, [50] = 16, [51] = 16, [52] = 16, [53] = 16, [54] = 16, [55] = 16};

INLINE void prefetch_tile(const uint8_t *from) {
    UNROLLED for (int line = 0; line < TILE; line++) __builtin_prefetch(from + line * LINE, 0, 2);
}

/* 32 queries by 32 rows: tmm0 to tmm3 hold sums, 4 and 5 queries, 6 and 7 rows. */
OUTLINED void tiles_2_by_2(const uint8_t *rows, const int32_t *planes, int64_t length, int32_t *products) {
    const int64_t line = 4 * length;
    _tile_zero(0), _tile_zero(1), _tile_zero(2), _tile_zero(3);
    for (int64_t step = 0; step < length; step += TILE) {
        const uint8_t *from = rows + step * LINE, *next = from + length * LINE;
        _tile_loadd(4, planes + step, line);
        _tile_loadd(5, planes + step + TILE * length, line);
        _tile_loadd(6, from, LINE);
        prefetch_tile(from + length * GROUPS * LINE);
        _tile_dpbsud(0, 4, 6), _tile_dpbsud(2, 5, 6);
        _tile_loadd(7, next, LINE);
        prefetch_tile(next + length * GROUPS * LINE);
        _tile_dpbsud(1, 4, 7), _tile_dpbsud(3, 5, 7);
    }
    _tile_stored(0, products, 4 * PANEL);
    _tile_stored(1, products + LANES, 4 * PANEL);
    _tile_stored(2, products + TILE * PANEL, 4 * PANEL);
    _tile_stored(3, products + TILE * PANEL + LANES, 4 * PANEL);
}

/* 16 queries by 64 rows: tmm0 to tmm3 hold sums, 4 queries, 5 to 7 rows in turn. */
OUTLINED void tiles_1_by_4(const uint8_t *rows, const int32_t *planes, int64_t length, int32_t *products) {
    const int64_t line = 4 * length, group = length * LINE;
    _tile_zero(0), _tile_zero(1), _tile_zero(2), _tile_zero(3);
    for (int64_t step = 0; step < length; step += TILE) {
        const uint8_t *from = rows + step * LINE;
        _tile_loadd(4, planes + step, line);
        _tile_loadd(5, from, LINE);
        _tile_loadd(6, from + group, LINE);
        _tile_loadd(7, from + 2 * group, LINE);
        UNROLLED for (int number = 0; number < GROUPS; number++) prefetch_tile(from + (GROUPS + number) * group);
        _tile_dpbsud(0, 4, 5);
        _tile_loadd(5, from + 3 * group, LINE);
        _tile_dpbsud(1, 4, 6), _tile_dpbsud(2, 4, 7), _tile_dpbsud(3, 4, 5);
    }
    _tile_stored(0, products, 4 * PANEL);
    _tile_stored(1, products + LANES, 4 * PANEL);
    _tile_stored(2, products + 2 * LANES, 4 * PANEL);
    _tile_stored(3, products + 3 * LANES, 4 * PANEL);
}

/* Products of 64 rows with the first queries, a multiple of 16. Return how many; 0 if the length is no multiple of 16. */
OUTLINED int64_t multiply_by_tiles(const uint8_t *rows, const int32_t *planes, int64_t queries, int64_t length,
                                   int32_t *products) {
    if (length % TILE || queries < TILE) return 0;
    int64_t query = 0;
    _tile_loadconfig(SHAPES);
    for (; query + 2 * TILE <= queries; query += 2 * TILE)
        for (int group = 0; group < GROUPS; group += 2)
            tiles_2_by_2(rows + group * length * LINE, planes + query * length, length,
                         products + query * PANEL + group * LANES);
    if (query + TILE <= queries) {
        tiles_1_by_4(rows, planes + query * length, length, products + query * PANEL);
        query += TILE;
    }
    _tile_release();
    return query;
}
#endif

/* Fill products int32[lines, 64] with the products of 64 rows of codes and all lines of some queries.
 *
 * codes: uint8[groups, length, 16, 4]; group: the first of the rows' four groups; planes: int32[lines, length ·
 * PLANE_WORDS]. */
INLINE void byte_products(const uint8_t *codes, int64_t group, const int32_t *planes, int64_t lines, int64_t length,
                          int32_t *products) {
    const uint8_t *rows = codes + group * length * LINE;
    const int64_t plane = length * PLANE_WORDS;
    int64_t query = 0;
#if defined(__AMX_INT8__)
    query = multiply_by_tiles(rows, planes, lines, length, products);
#endif
    for (; query + 4 <= lines; query += 4) multiply_4(rows, planes + query * plane, length, products + query * PANEL);
    if (query + 2 <= lines) {
        multiply_2(rows, planes + query * plane, length, products + query * PANEL);
        query += 2;
    }
    if (query < lines) multiply_1(rows, planes + query * plane, length, products + query * PANEL);
}
