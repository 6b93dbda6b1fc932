/* The instructions that dot.h uses of processors with AVX-512, AVX-VNNI or AMX, for processors without them: one number
 * after the other, as Intel's Intrinsics Guide defines them. It takes the place of the compiler's header. */
#pragma once
#include <stdint.h>

typedef int32_t __m256i __attribute__((vector_size(32)));
typedef int32_t __m512i __attribute__((vector_size(64)));

#define IMITATED static inline __attribute__((always_inline))

/* A sum of 32 bits that wraps around, plus four products of unsigned bytes with signed ones. */
IMITATED int32_t add_four(int32_t total, uint32_t codes, uint32_t numbers) {
    for (int byte = 0; byte < 4; byte++)
        total += (int32_t)(uint8_t)(codes >> 8 * byte) * (int32_t)(int8_t)(numbers >> 8 * byte);
    return total;
}
/* Two products of 16-bit numbers. */
IMITATED int32_t add_pair(uint32_t a, uint32_t b) {
    return (int32_t)(int16_t)a * (int16_t)b + (int32_t)(int16_t)(a >> 16) * (int16_t)(b >> 16);
}

IMITATED __m512i _mm512_set1_epi32(int32_t word) { return (__m512i){0} + word; }
IMITATED __m256i _mm256_set1_epi32(int32_t word) { return (__m256i){0} + word; }
IMITATED __m512i _mm512_dpbusd_epi32(__m512i total, __m512i codes, __m512i numbers) {
    for (int i = 0; i < 16; i++) total[i] = add_four(total[i], (uint32_t)codes[i], (uint32_t)numbers[i]);
    return total;
}
IMITATED __m256i _mm256_dpbusd_avx_epi32(__m256i total, __m256i codes, __m256i numbers) {
    for (int i = 0; i < 8; i++) total[i] = add_four(total[i], (uint32_t)codes[i], (uint32_t)numbers[i]);
    return total;
}
IMITATED __m512i _mm512_madd_epi16(__m512i a, __m512i b) {
    for (int i = 0; i < 16; i++) a[i] = add_pair((uint32_t)a[i], (uint32_t)b[i]);
    return a;
}
IMITATED __m256i _mm256_madd_epi16(__m256i a, __m256i b) {
    for (int i = 0; i < 8; i++) a[i] = add_pair((uint32_t)a[i], (uint32_t)b[i]);
    return a;
}

/* Tiles of 16 rows of 64 bytes, the only shape that is used. Without a configuration every instruction faults. */
static uint32_t imitated_tiles[8][16][16];
static int imitated_shapes;

IMITATED uint32_t (*tile_of(int tile))[16] {
    if (!imitated_shapes) __builtin_trap();
    return imitated_tiles[tile];
}
IMITATED void _tile_loadconfig(const void *shapes) {
    const uint8_t *bytes = shapes;
    if (bytes[0] != 1) __builtin_trap();
    for (int tile = 0; tile < 8; tile++)
        if (bytes[16 + 2 * tile] != 64 || bytes[17 + 2 * tile] || bytes[48 + tile] != 16) __builtin_trap();
    imitated_shapes = 1;
}
IMITATED void _tile_release(void) { imitated_shapes = 0; }
IMITATED void _tile_zero(int tile) { __builtin_memset(tile_of(tile), 0, sizeof imitated_tiles[0]); }
IMITATED void _tile_loadd(int tile, const void *from, int64_t stride) {
    for (int row = 0; row < 16; row++)
        __builtin_memcpy(tile_of(tile)[row], (const uint8_t *)from + row * stride, 64);
}
IMITATED void _tile_stored(int tile, void *into, int64_t stride) {
    for (int row = 0; row < 16; row++) __builtin_memcpy((uint8_t *)into + row * stride, tile_of(tile)[row], 64);
}
/* sums[m][n] += the products of the four signed bytes a[m][k] with the unsigned b[k][n], over all words k. */
IMITATED void _tile_dpbsud(int sums, int a, int b) {
    for (int m = 0; m < 16; m++)
        for (int k = 0; k < 16; k++)
            for (int n = 0; n < 16; n++)
                tile_of(sums)[m][n] = (uint32_t)add_four((int32_t)tile_of(sums)[m][n], tile_of(b)[k][n], tile_of(a)[m][k]);
}
