/* Self-attention of some heads over one text. */
#pragma once

#include "rows.h"

enum {
    QUERIES = 12,     /* tokens of a text that attend at a time, so that their logits stay in the L1 cache */
    TILE_QUERIES = 16 /* the same for tiles */
};

/* What an encoder's layers are like; the layers are alike. */
typedef struct {
    int64_t heads;
    int64_t key_heads;        /* divides `heads`: consecutive queries share the heads of keys and values */
    int64_t head_width;       /* a multiple of 32 */
    int64_t curve;            /* the activation */
    int64_t gated;            /* 1 if the activated gate multiplies the hidden units, else 0 */
    int64_t norm_first;       /* 1 if a layer normalises what its branches read, 0 if it normalises sums */
    int64_t turned;           /* 1 if queries and keys are normalised or rotated, else 0 */
    int64_t normalises_heads; /* 1 if queries and keys are normalised, else 0 */
} Design;

/* Buffers that one thread needs; `attention.kernels.transformer.parameters` describes each. */
typedef struct {
    int32_t *keys, *values;
    Table logits;
    Packed weights;
    float *factors;
    Packed hidden;
    Table sums, head, y;
} Scratch;

/* Index and index + side change places, of two lines that are `side` apart. */
#define UPPER(index, side) ((index) & (side) ? LANES + (index) - (side) : (index))
#define LOWER(index, side) ((index) & (side) ? LANES + (index) : (index) + (side))
/* Lanes 0, 16, 1, 17, ... from the first or second half of two lines. */
#define ZIPPED(index, half) ((half) * 8 + (index) / 2 + ((index) & 1 ? LANES : 0))
#define SHUFFLE(one, other, order, side)                                                                               \
    __builtin_shufflevector(one, other, order(0, side), order(1, side), order(2, side), order(3, side), order(4, side), \
                            order(5, side), order(6, side), order(7, side), order(8, side), order(9, side),            \
                            order(10, side), order(11, side), order(12, side), order(13, side), order(14, side),       \
                            order(15, side))

/* Transpose 16 lines of 16 words, `stride` words apart, into lines that are `apart` words apart. */
OUTLINED void transpose(const int32_t *from, int64_t stride, int32_t *into, int64_t apart) {
    words lines[LANES];
    UNROLLED for (int line = 0; line < LANES; line++) lines[line] = LOAD(words, from + line * stride);
#define SWAP(side)                                                                                                     \
    UNROLLED for (int line = 0; line < LANES; line++) if (!(line & side)) {                                            \
        const words one = lines[line], other = lines[line + side];                                                     \
        lines[line] = SHUFFLE(one, other, UPPER, side);                                                                \
        lines[line + side] = SHUFFLE(one, other, LOWER, side);                                                         \
    }
    SWAP(1) SWAP(2) SWAP(4) SWAP(8)
#undef SWAP
    UNROLLED for (int line = 0; line < LANES; line++) STORE(into + line * apart, lines[line]);
}

/* Interleave 32 bfloat16 of one row with those of the next row, or with zeros if not `both`, into two lines. */
INLINE void interleave(const int32_t *row, int64_t stride, int both, int32_t *into, int64_t apart) {
    const words one = LOAD(words, row), other = both ? LOAD(words, row + stride) : (words)0;
    const words even = (one & 0xFFFF) | other << 16;
    const words odd = (words)((naturals)one >> 16) | (other & (int32_t)0xFFFF0000);
    STORE(into, SHUFFLE(even, odd, ZIPPED, 0));
    STORE(into + apart, SHUFFLE(even, odd, ZIPPED, 1));
}

/* Write the keys of one head and one text as panels of `across` keys each, which queries can be multiplied with; return
 * the words of each part. `words`: those of a key. Keys of the last panel after the text's last are meaningless. */
static int64_t arrange_keys(const Packed *projected, int64_t first, int64_t length, int64_t word, int64_t words,
                            int64_t across, int32_t *keys) {
    const int64_t size = rounded_up(length, TILE_COLUMNS) * words;
    for (int64_t part = 0; part < projected->parts; part++)
        for (int64_t block = 0; block < length; block += across)
            for (int64_t side = 0; side < across; side += LANES)
                for (int64_t count = 0; count < words; count += LANES) {
                    const int64_t row = part * projected->rows + first + block + side;
                    transpose(lines_of(projected, row, word + count).start, projected->words,
                              keys + part * size + block * words + count * across + side, across);
                }
    return size;
}

/* Write the float32 values of one head and one text in the order in which a product reads them: 16 components of all
 * tokens, then the next 16 of all. Return the words of each 16. */
static int64_t arrange_values(const Packed *projected, int64_t first, int64_t length, int64_t word, int64_t words,
                              int32_t *values) {
    for (int64_t count = 0; count < words; count += LANES) {
        Lines from = lines_of(projected, first, word + count);
        int32_t *into = values + count * length;
        for (int64_t token = 0; token < length; token++, from.start += from.stride, into += LANES) {
            const int32_t *line = from.start;
            STORE(into, LOAD(naturals, line));
        }
    }
    return length * LANES;
}

/* Write the bfloat16 values of one head and one text as panels of `across` components, two tokens to a word. Tokens
 * from `length` to `padded` are zeros. Return the words of each part of a panel. */
static int64_t arrange_value_pairs(const Packed *projected, int64_t first, int64_t length, int64_t padded, int64_t word,
                                   int64_t words, int64_t across, int32_t *values) {
    const int64_t size = padded / 2 * across, parts = projected->parts;
    const int64_t apart = across == TILE_COLUMNS ? LANES : parts * size;
    for (int64_t count = 0; count < words; count += LANES)
        for (int64_t part = 0; part < parts; part++) {
            int32_t *into = values + (2 * count / across * parts + part) * size;
            const int64_t row = part * projected->rows + first;
            for (int64_t token = 0; token < length; token += 2)
                interleave(lines_of(projected, row + token, word + count).start, projected->words, token + 1 < length,
                           into + token / 2 * across, apart);
            if (across == TILE_COLUMNS) {
                const int64_t written = (length + 1) / 2 * across;
                clear(into + written, 4 * (size - written));
            }
        }
    return size;
}

/* Compute the outputs of the heads that share the keys and values of `key_head`, for the tokens from `begin` to
 * `end` of the text that is rows `first` to `first + length`.
 *
 * A token attends to `back` positions back and `ahead` ahead. Products skip keys that are too far away. What is
 * skipped depends on the text's panels of 32 tokens alone, and its terms are exact zeros, so results do not depend
 * on `begin` and `end`. The 32 rows of `projected` after the last text must be finite. `distances` are added to
 * logits: column n + i of 2·n is for a key i positions after the query; without such biases it has no columns. */
static void attend(int64_t way, const Packed *projected, int64_t first, int64_t length, int64_t begin, int64_t end,
                   const Design *design, int64_t key_head, int64_t back, int64_t ahead, const Table *distances,
                   const Scratch *scratch, const Packed *out) {
    const Table logits = scratch->logits, sums = scratch->sums;
    const Packed weights = scratch->weights;
    const int whole = way == FLOAT32, direct = WIDE && whole;
    const int64_t across = columns_of(way), numbers = design->head_width, words = whole ? numbers : numbers / 2;
    const int64_t group = design->heads / design->key_heads, some = way >= TILES ? TILE_QUERIES : QUERIES;
    const int64_t key = (design->heads + key_head) * words, value = key + design->key_heads * words;
    /* The text's tokens that any of these tokens attends to, from a whole panel on. */
    const int64_t lowest = most(0, begin - first - back) / TILE_COLUMNS * TILE_COLUMNS;
    const int64_t count = least(length, end - first + ahead) - lowest, start_row = first + lowest;
    const int64_t behind = arrange_keys(projected, start_row, count, key, words, across, scratch->keys);
    int64_t size = 0;
    if (!whole)
        size = arrange_value_pairs(projected, start_row, count, rounded_up(count, TILE_COLUMNS), value, words, across,
                                   scratch->values);
    else if (!direct) size = arrange_values(projected, start_row, count, value, words, scratch->values);
    for (int64_t head = key_head * group; head < (key_head + 1) * group; head++)
        for (int64_t index = begin; index < end; index += some) {
            const int64_t rows = least(some, end - index), position = index - start_row;
            const int64_t low = most(0, position - back) / TILE_COLUMNS * TILE_COLUMNS;
            const int64_t high = least(count, position + rows + ahead), columns = high - low;
            const Lines queries = lines_of(projected, index, head * words);
            for (int64_t block = low; block < high; block += across) {
                const Lines keys = {scratch->keys + block * words, across, behind};
                multiply(way, rows, queries, keys, words, logits.start + block - low, logits.columns, 0);
            }
            if (distances->columns > 0) {
                /* The bias of column c in row r is that of the distance low + c − (position + r). */
                const int64_t middle = distances->columns / 2 + low - position;
                add_distances(logits.start, logits.columns, rows, columns, row_of(distances, head) + middle);
            }
            /* Vectors read only existing words. Tiles are always full, padded with zeros. */
            const int64_t padded = rounded_up(columns, TILE_COLUMNS);
            const int64_t deep = whole ? columns : (way >= TILES ? padded : columns + 1) / 2;
            exponentials(way, logits.start, logits.columns, rows, columns, padded, position - low, back, ahead,
                         target_of(&weights, 0, 0), scratch->factors);
            for (int64_t number = 0; number < numbers; number += across) {
                const int32_t *panel = scratch->values + number / across * projected->parts * size;
                const Lines values = direct ? lines_of(projected, start_row + low, value + number)
                                            : (Lines){panel + (whole ? low : low / 2) * across, across, size};
                multiply(way, rows, lines_of(&weights, 0, 0), values, deep, sums.start, sums.columns, 0);
                scale(way, sums.start, sums.columns, rows, across, scratch->factors,
                      target_of(out, index, head * numbers + number));
            }
        }
}
