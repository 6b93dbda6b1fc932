/* Self-attention of some heads over one text: softmax(Q · Kᵀ + distances) · V, Q already divided by √d_k.
 *
 * Keys and values are first written as panels, in which products read them. Then blocks of QUERIES tokens go through
 * logits, exponentials and the product with the values, so that their logits stay in the L1 cache. */
#pragma once

#include "rows.h"

enum {
    QUERIES = 12,     /* tokens of a text that attend at a time */
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

/* Buffers that one thread needs; `softkv_attention.kernels.transformer.parameters` describes each. */
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
    __builtin_shufflevector(one, other, order(0, side), order(1, side), order(2, side), order(3, side),                \
                            order(4, side), order(5, side), order(6, side), order(7, side), order(8, side),            \
                            order(9, side), order(10, side), order(11, side), order(12, side), order(13, side),        \
                            order(14, side), order(15, side))

/* Transpose 16 lines of 16 words, `stride` words apart, into lines that are `apart` words apart. The lines are 16
 * registers of AVX-512; off-diagonal squares of side 1, 2, 4 and 8 change places. */
OUTLINED void transpose(const int32_t *from, int64_t stride, int32_t *into, int64_t apart) {
    i32x16 lines[LANES];
    UNROLLED for (int line = 0; line < LANES; line++) lines[line] = LOAD(i32x16, from + line * stride);
#define SWAP(side)                                                                                                     \
    UNROLLED for (int line = 0; line < LANES; line++) if (!(line & side)) {                                            \
        const i32x16 one = lines[line], other = lines[line + side];                                                    \
        lines[line] = SHUFFLE(one, other, UPPER, side);                                                                \
        lines[line + side] = SHUFFLE(one, other, LOWER, side);                                                         \
    }
    SWAP(1) SWAP(2) SWAP(4) SWAP(8)
#undef SWAP
    UNROLLED for (int line = 0; line < LANES; line++) STORE(into + line * apart, lines[line]);
}

/* Interleave 32 bfloat16 of one row with those of the next row, or with zeros if not `both`, into two lines. */
INLINE void interleave(const int32_t *row, int64_t stride, int both, int32_t *into, int64_t apart) {
    const i32x16 one = LOAD(i32x16, row), other = both ? LOAD(i32x16, row + stride) : (i32x16)0;
    const i32x16 even = (one & 0xFFFF) | other << 16;
    const i32x16 odd = (i32x16)((u32x16)one >> 16) | (other & (int32_t)0xFFFF0000);
    STORE(into, SHUFFLE(even, odd, ZIPPED, 0));
    STORE(into + apart, SHUFFLE(even, odd, ZIPPED, 1));
}

/* Write the keys of one head and one text as panels of `width` keys each, which queries can be multiplied with; return
 * the words of each part. The keys are `depth` words from `word` on of the rows from `first` on. Keys of the last panel
 * after the text's last are meaningless. */
static int64_t arrange_keys(const Packed *projected, int64_t first, int64_t length, int64_t word, int64_t depth,
                            int64_t width, int32_t *keys) {
    const int64_t size = rounded_up(length, TILE_COLUMNS) * depth;
    for (int64_t part = 0; part < projected->parts; part++)
        for (int64_t block = 0; block < length; block += width)
            for (int64_t side = 0; side < width; side += LANES)
                for (int64_t count = 0; count < depth; count += LANES) {
                    const int64_t row = part * projected->rows + first + block + side;
                    transpose(lines_of(projected, row, word + count).start, projected->words,
                              keys + part * size + block * depth + count * width + side, width);
                }
    return size;
}

/* Write the float32 values of one head and one text as panels of 16 components, a line for each token; return the words
 * of a panel. The values are `depth` words from `word` on of the rows from `first` on. */
static int64_t arrange_values(const Packed *projected, int64_t first, int64_t length, int64_t word, int64_t depth,
                              int32_t *values) {
    for (int64_t count = 0; count < depth; count += LANES) {
        Lines from = lines_of(projected, first, word + count);
        int32_t *into = values + count * length;
        for (int64_t token = 0; token < length; token++, from.start += from.stride, into += LANES) {
            const int32_t *line = from.start;
            STORE(into, LOAD(u32x16, line));
        }
    }
    return length * LANES;
}

/* Write the bfloat16 values of one head and one text as panels of `width` components, a line for two tokens, which
 * share words; return the words of each part of a panel. Tokens from `length` to `padded` are zeros. */
static int64_t arrange_value_pairs(const Packed *projected, int64_t first, int64_t length, int64_t padded, int64_t word,
                                   int64_t depth, int64_t width, int32_t *values) {
    const int64_t size = padded / 2 * width, parts = projected->parts;
    /* 16 words of a row are 32 components: two halves of a wide panel's line, or lines of two narrow panels. */
    const int64_t apart = width == TILE_COLUMNS ? LANES : parts * size;
    for (int64_t count = 0; count < depth; count += LANES)
        for (int64_t part = 0; part < parts; part++) {
            int32_t *into = values + (2 * count / width * parts + part) * size;
            const int64_t row = part * projected->rows + first;
            for (int64_t token = 0; token < length; token += 2)
                interleave(lines_of(projected, row + token, word + count).start, projected->words, token + 1 < length,
                           into + token / 2 * width, apart);
            if (width == TILE_COLUMNS) { /* only tiles read beyond the last token */
                const int64_t written = (length + 1) / 2 * width;
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
    const int is_float32 = way == FLOAT32;
    const int has_panels = !(WIDE && is_float32); /* else 32 components of a row already are a line of a panel */
    const int64_t width = columns_of(way), block = way >= TILES ? TILE_QUERIES : QUERIES;
    const int64_t components = design->head_width, depth = is_float32 ? components : components / 2; /* in words */
    const int64_t group = design->heads / design->key_heads;
    const int64_t key_word = (design->heads + key_head) * depth, value_word = key_word + design->key_heads * depth;

    /* The text's tokens that any of these tokens attends to, from a whole panel on: `count` rows from `start` on. */
    const int64_t lowest = max_i64(0, begin - first - back) / TILE_COLUMNS * TILE_COLUMNS;
    const int64_t count = min_i64(length, end - first + ahead) - lowest, start = first + lowest;
    const int64_t keys_size = arrange_keys(projected, start, count, key_word, depth, width, scratch->keys);
    int64_t values_size = 0;
    if (!is_float32)
        values_size = arrange_value_pairs(projected, start, count, rounded_up(count, TILE_COLUMNS), value_word, depth,
                                          width, scratch->values);
    else if (has_panels) values_size = arrange_values(projected, start, count, value_word, depth, scratch->values);

    for (int64_t head = key_head * group; head < (key_head + 1) * group; head++)
        for (int64_t index = begin; index < end; index += block) {
            /* Rows from `position` on attend to the columns from `low` to `high`, both counted from `start`. */
            const int64_t rows = min_i64(block, end - index), position = index - start;
            const int64_t low = max_i64(0, position - back) / TILE_COLUMNS * TILE_COLUMNS;
            const int64_t high = min_i64(count, position + rows + ahead), columns = high - low;
            const int64_t padded = rounded_up(columns, TILE_COLUMNS);

            const Lines queries = lines_of(projected, index, head * depth);
            for (int64_t column = low; column < high; column += width) {
                const Lines keys = {scratch->keys + column * depth, width, keys_size};
                multiply(way, rows, queries, keys, depth, logits.start + column - low, logits.columns, 0);
            }
            if (distances->columns > 0) {
                /* The bias of column c in row r is that of the distance low + c − (position + r). */
                const int64_t middle = distances->columns / 2 + low - position;
                add_distances(logits.start, logits.columns, rows, columns, row_of(distances, head) + middle);
            }
            exponentials(way, logits.start, logits.columns, rows, columns, padded, position - low, back, ahead,
                         target_of(&weights, 0, 0), scratch->factors);

            /* Vectors read only the words of existing tokens. Tiles are always full, padded with zeros. */
            const int64_t tokens = way >= TILES ? padded : columns;
            const int64_t words_read = is_float32 ? tokens : (tokens + 1) / 2, line = is_float32 ? low : low / 2;
            for (int64_t component = 0; component < components; component += width) {
                const int32_t *panel = scratch->values + component / width * projected->parts * values_size;
                const Lines values = has_panels ? (Lines){panel + line * width, width, values_size}
                                                : lines_of(projected, start + low, value_word + component);
                multiply(way, rows, lines_of(&weights, 0, 0), values, words_read, sums.start, sums.columns, 0);
                scale(way, sums.start, sums.columns, rows, width, scratch->factors,
                      target_of(out, index, head * components + component));
            }
        }
}
