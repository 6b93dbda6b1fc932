/* What the whole library shares: which processor this is, and the two functions that a compiler may call by itself. */
#include <stddef.h>
#include <stdint.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* Compiled with -fno-builtin: else the loops would be recognised and become calls of themselves. */
__attribute__((visibility("hidden"))) void *memcpy(void *restrict into, const void *restrict from, size_t size) {
    char *to = into;
    const char *source = from;
    for (; size >= 8; size -= 8, to += 8, source += 8) __builtin_memcpy_inline(to, source, 8);
    while (size--) *to++ = *source++;
    return into;
}

__attribute__((visibility("hidden"))) void *memset(void *into, int value, size_t size) {
    char *to = into;
    const uint64_t eight = 0x0101010101010101u * (uint8_t)value;
    for (; size >= 8; size -= 8, to += 8) __builtin_memcpy_inline(to, &eight, 8);
    while (size--) *to++ = (char)value;
    return into;
}

#ifdef _WIN32
int _fltused = 0; /* the compiler asks for it where floats are used */
int DllMainCRTStartup(void *library, unsigned reason, void *reserved) {
    (void)library, (void)reason, (void)reserved;
    return 1;
}
#endif

/* The features of an x86 processor that both it and the operating system offer, one bit each; `library.py` names them. */
#if defined(__x86_64__)
#include <cpuid.h>

enum { AVX2 = 1, AVX512 = 2, AVX512_VNNI = 4, AVX_VNNI = 8, AMX = 16 };

EXPORT int64_t softkv_features(void) {
    uint32_t a, b, c, d, low, high;
    int64_t found = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    const uint32_t fused_and_halves = 1u << 12 | 1u << 29 | 1u << 23 | 1u << 22; /* FMA, F16C, POPCNT, MOVBE */
    if (!(c >> 27 & 1) || (c & fused_and_halves) != fused_and_halves) return 0;  /* OSXSAVE: xgetbv may be used */
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    const int saves_256 = (low & 0x06) == 0x06, saves_512 = (low & 0xE6) == 0xE6, saves_tiles = (low >> 17 & 3) == 3;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    const uint32_t bits_and_avx2 = 1u << 3 | 1u << 5 | 1u << 8; /* BMI1, AVX2, BMI2 */
    if (saves_256 && (b & bits_and_avx2) == bits_and_avx2) found |= AVX2;
    const uint32_t f_dq_cd_bw_vl = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
    if (saves_512 && (b & f_dq_cd_bw_vl) == f_dq_cd_bw_vl) {
        found |= AVX512;
        if (c >> 11 & 1) found |= AVX512_VNNI;
    }
    const uint32_t tiles = 1u << 22 | 1u << 24 | 1u << 25; /* AMX: bfloat16, tiles, bytes */
    if (saves_tiles && (d & tiles) == tiles) found |= AMX;
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && saves_256 && a >> 4 & 1) found |= AVX_VNNI;
    return found;
}
#else
EXPORT int64_t softkv_features(void) { return 0; } /* ARM: the operating system knows */
#endif
