/* A whole encoder over the packed tokens of some texts, in one function: embeddings, layers, pooling.
 *
 * It runs in stages, so that threads can share texts. The first stage embeds tokens and projects queries, keys and
 * values. Each further stage computes one layer's attention and feed-forward network, and projects for the next. The
 * last stage pools. A stage starts when the previous one is complete for all tokens.
 *
 * `attention.kernels.transformer.in_c` has the structures for Python; `parameters` beside it documents their fields. */
#include "attention.h"

enum {
    ROWS = 96,       /* tokens per pass through a layer, so that intermediate results stay in the L2 cache */
    MORE_ROWS = 192, /* the same for panels of 16 columns, which are loaded from memory half as often then */
    WIDENED = 384    /* hidden units of the feed-forward network that are computed and multiplied again at a time */
};
enum { MEAN, FIRST, MAXIMUM, LAST };

/* The packed parameters of an encoder of as many layers as output_bias has rows. */
typedef struct {
    Table tokens, positions;
    const int32_t *projections, *output, *inner, *outer;
    Table projections_bias, output_bias, inner_bias, outer_bias;
    Table scales, shifts;
    const int64_t *norms;
    const float *epsilons;
    Table head_scales;
    const float *head_epsilons;
    const float *rotations;
    int64_t n_positions; /* of each kind of rotation */
    const int64_t *rotation_of, *windows;
    Table distances;
    float token_scale;
} Network;

/* Activations of the tokens of some texts, shared by the threads that compute them. */
typedef struct {
    Table x;
    Packed read;
    Packed projected; /* the first of `copies` */
    int64_t copies;   /* layers take them in turn */
    Packed joined;
} Activations;

INLINE Packed projected_of(const Activations *room, int64_t layer) {
    Packed projected = room->projected;
    projected.start += layer % room->copies * projected.parts * projected.rows * projected.words;
    return projected;
}

/* How many of the `left` remaining tokens the next pass through a layer computes. Passes have similar sizes, so that
 * the last one is not nearly empty. */
INLINE int64_t pass_rows(int64_t way, int64_t left) {
    const int64_t block = way >= TILES ? TILE_QUERIES : QUERIES, maximum = WIDE || way >= TILES ? ROWS : MORE_ROWS;
    const int64_t blocks = blocks_of(left, block), passes = blocks_of(blocks, maximum / block);
    return least(blocks_of(blocks, passes) * block, left);
}

/* Store curve(a · matrix + bias) packed, for columns `begin` to `end` of the matrix of `layer`; column `begin`
 * becomes the target's first. With a gate, every second panel is multiplied by the activated one before it. */
static void activate_products(int64_t way, int64_t rows, const Packed *a, int64_t row, const int32_t *matrices,
                              const Table *bias, int64_t layer, int64_t begin, int64_t end, int64_t curve,
                              int64_t gated,
                              Target out, const Table *sums) {
    const int64_t across = columns_of(way), part = bias->columns * a->words;
    const int32_t *matrix = matrices + layer * a->parts * part;
    for (int64_t column = begin; column < end; column += across << gated, out.into += across) {
        for (int64_t side = 0; side < across << gated; side += across) {
            const Lines panel = {matrix + (column + side) * a->words, across, part};
            multiply(way, rows, lines_of(a, row, 0), panel, a->words, sums->start + side, sums->columns, 0);
        }
        finish(way, sums->start, sums->columns, rows, across, row_of(bias, layer) + column, curve, gated, out);
    }
}

/* Set y[: rows] to a · matrix, over words `begin` to `end` of the depth of the matrix of `layer`; if `begin` is not
 * 0, add to y. The matrix has `columns` columns of `depth` words, of which `first_column` becomes the first of y. */
static void store_products(int64_t way, int64_t rows, const Packed *a, int64_t row, const int32_t *matrices,
                           int64_t layer, int64_t columns, int64_t depth, int64_t begin, int64_t end,
                           int64_t first_column, const Table *y) {
    const int64_t across = columns_of(way), part = columns * depth;
    const int32_t *matrix = matrices + layer * a->parts * part + begin * across;
    for (int64_t column = 0; column < y->columns; column += across) {
        const Lines panel = {matrix + (first_column + column) * depth, across, part};
        multiply(way, rows, lines_of(a, row, 0), panel, end - begin, y->start + column, y->columns, begin > 0);
    }
}

/* Set y[: rows] to the embeddings of the tokens from `row` on: the sums of token and position vectors. */
static void embed(const Network *network, const int64_t *tokens, const int64_t *positions, int64_t row, int64_t rows,
                  const Table *y) {
    for (int64_t line = 0; line < rows; line++) {
        const float *token = row_of(&network->tokens, tokens[row + line]);
        const float *position = row_of(&network->positions, least(positions[row + line], network->positions.rows - 1));
        float *into = row_of(y, line);
        for (int64_t column = 0; column < y->columns; column += LANES)
            STORE(into + column, LOAD(reals, token + column) * network->token_scale + LOAD(reals, position + column));
    }
}

/* Set rows of `projected` to the queries, keys and values of a layer. Queries and keys that turn are normalised and
 * rotated head by head, in float32. */
static void project(int64_t way, const Network *network, const Design *design, int64_t layer, const int64_t *positions,
                    const Packed *read, const Packed *projected, const Scratch *scratch, int64_t row, int64_t rows) {
    const int64_t width = design->head_width, columns = network->projections_bias.columns;
    const int64_t turned = design->turned * (design->heads + design->key_heads);
    const float *bias = row_of(&network->projections_bias, layer);
    const float *rotations = network->rotations + network->rotation_of[layer] * network->n_positions * width;
    for (int64_t head = 0; head < turned; head++) {
        const int64_t number = 2 * layer + (head >= design->heads);
        store_products(way, rows, read, row, network->projections, layer, columns, read->words, 0, read->words,
                       head * width, &scratch->head);
        rotate(way, scratch->head.start, width, rows, bias + head * width, design->normalises_heads,
               row_of(&network->head_scales, number), network->head_epsilons[number], rotations, positions + row,
               target_of(projected, row, head * width));
    }
    activate_products(way, rows, read, row, network->projections, &network->projections_bias, layer, turned * width,
                      columns, NONE, 0, target_of(projected, row, turned * width), &scratch->sums);
}

/* Compute the outputs of all heads for the tokens from `first` to `last`. Each token attends to its own text. */
static void attend_texts(int64_t way, const Network *network, const Design *design, int64_t layer,
                         const Packed *projected, const int64_t *lengths, int64_t texts, int64_t first, int64_t last,
                         const Activations *room, const Scratch *scratch) {
    const int64_t back = network->windows[2 * layer], ahead = network->windows[2 * layer + 1];
    for (int64_t text = 0, start = 0; text < texts; start += lengths[text++]) {
        const int64_t begin = most(start, first), end = least(start + lengths[text], last);
        for (int64_t head = 0; begin < end && head < design->key_heads; head++)
            attend(way, projected, start, lengths[text], begin, end, design, head, back, ahead, &network->distances,
                   scratch, &room->joined);
    }
}

/* Normalise rows of y by the network's normalisation `number`. They are packed in `room->read`, from row `row` on, and
 * stored as float32 in x; if `keeps`, x gets the rows before the normalisation. */
static void normalise_rows(int64_t way, int64_t rows, const Network *network, int64_t number, int keeps, const Table *y,
                           float *x, const Packed *read, int64_t row) {
    normalise(way, network->norms[number], y->start, y->columns, rows, network->epsilons[number], keeps,
              row_of(&network->scales, number), row_of(&network->shifts, number), x, target_of(read, row, 0));
}

/* Add the bias and the rows of `room->x` to the output of a branch, y[: rows]. If the network normalises the branch
 * before the normalisation `number`, that comes first; the bias is then zero. */
static void add_branch(int64_t way, int64_t rows, const Network *network, int64_t number, const Table *bias,
                       int64_t layer, const Activations *room, const Table *y, int64_t row) {
    const int64_t branch = 2 * network->output_bias.rows + 1 + number;
    if (network->norms[branch] != NO_NORM) normalise_rows(way, rows, network, branch, 0, y, y->start, &room->read, row);
    add(y->start, y->columns, rows, row_of(bias, layer), row_of(&room->x, row));
}

/* Compute what follows attention in a layer, from the heads' outputs to the normalisation after the layer, whose
 * input is then in `scratch->y`. */
static void finish_layer(int64_t way, const Network *network, const Design *design, int64_t layer,
                         const Activations *room, const Scratch *scratch, int64_t row, int64_t rows) {
    const Table *y = &scratch->y;
    const int64_t joined = room->joined.words, gated = design->gated, numbers = way == FLOAT32 ? 1 : 2;
    store_products(way, rows, &room->joined, row, network->output, layer, y->columns, joined, 0, joined, 0, y);
    add_branch(way, rows, network, 2 * layer + 1, &network->output_bias, layer, room, y, row);
    normalise_rows(way, rows, network, 2 * layer + 1, design->norm_first > 0, y, row_of(&room->x, row), &room->read,
                   row);
    const int64_t width = network->inner_bias.columns >> gated;
    for (int64_t begin = 0; begin < width; begin += WIDENED) {
        const int64_t end = least(begin + WIDENED, width);
        activate_products(way, rows, &room->read, row, network->inner, &network->inner_bias, layer, begin << gated,
                          end << gated, design->curve, gated, target_of(&scratch->hidden, 0, 0), &scratch->sums);
        store_products(way, rows, &scratch->hidden, 0, network->outer, layer, y->columns, width / numbers,
                       begin / numbers, end / numbers, 0, y);
    }
    add_branch(way, rows, network, 2 * layer + 2, &network->outer_bias, layer, room, y, row);
}

/* Set out[i] to one vector of text i, pooled from the vectors x of its tokens, for all texts. */
static void pool(const Table *x, const int64_t *lengths, int64_t texts, int64_t pooling, float *out) {
    const int64_t width = x->columns;
    for (int64_t text = 0, row = 0; text < texts; row += lengths[text++], out += width) {
        const float length = (float)lengths[text];
        for (int64_t column = 0; column < width; column += LANES) {
            const float *from = row_of(x, pooling == LAST ? row + lengths[text] - 1 : row) + column;
            reals into = LOAD(reals, from);
            if (pooling == MEAN || pooling == MAXIMUM)
                for (int64_t token = 1; token < lengths[text]; token++) {
                    from += width;
                    const reals one = LOAD(reals, from);
                    into = pooling == MAXIMUM ? (one > into ? one : into) : into + one;
                }
            STORE(out + column, pooling == MEAN ? into / length : into);
        }
    }
}

/* Compute the vectors of some texts, or only some stages of that for some of their tokens.
 *
 * The tokens of the texts are concatenated. Stage 0 embeds tokens, stages 1 to l compute the layers, and stage l + 1
 * pools. `positions` are those of the tokens in their texts. `room` has the activations as earlier stages left them.
 * The range of tokens is `first` to `last`, that of stages `begin` to `end`; the last stage pools all texts, into
 * out[poolings, texts, d]. Vectors are not normalised to length 1. */
EXPORT void KERNEL(encode)(int64_t way, const Network *network, const Design *design, const int64_t *tokens,
                           const int64_t *positions, const int64_t *lengths, int64_t texts, const int64_t *poolings,
                           int64_t n_poolings, const Activations *room, const Scratch *scratch, int64_t first,
                           int64_t last, int64_t begin, int64_t end, float *out) {
    const int64_t layers = network->output_bias.rows, branches = 2 * layers + 1;
    const Table *y = &scratch->y;
    if (way >= TILES) take_unit();
    for (int64_t stage = begin; stage < least(end, layers + 1); stage++) {
        if (stage > 0) {
            const Packed projected = projected_of(room, stage - 1);
            attend_texts(way, network, design, stage - 1, &projected, lengths, texts, first, last, room, scratch);
        }
        for (int64_t row = first, rows = 0; row < last; row += rows) {
            rows = pass_rows(way, last - row);
            if (stage > 0) finish_layer(way, network, design, stage - 1, room, scratch, row, rows);
            else {
                embed(network, tokens, positions, row, rows, y);
                if (network->norms[branches] != NO_NORM)
                    normalise_rows(way, rows, network, branches, 0, y, y->start, &room->read, row);
            }
            normalise_rows(way, rows, network, 2 * stage, design->norm_first > 0 && stage < layers, y,
                           row_of(&room->x, row), &room->read, row);
            if (stage < layers) {
                const Packed projected = projected_of(room, stage);
                project(way, network, design, stage, positions, &room->read, &projected, scratch, row, rows);
            }
        }
    }
    if (way >= TILES) leave_unit();
    if (end > layers + 1)
        for (int64_t number = 0; number < n_poolings; number++, out += texts * room->x.columns)
            pool(&room->x, lengths, texts, poolings[number], out);
}

/* The number of columns of a panel for a way to multiply. */
EXPORT int64_t KERNEL(encoder_columns_of)(int64_t way) { return columns_of(way); }

/* The steps by themselves, for tests. Rows and columns are those that the numba kernels of the same name take. */

EXPORT void KERNEL(encoder_multiply)(int64_t way, int64_t rows, const Packed *a, int64_t row, int64_t word,
                                     const int32_t *b,
                                     int64_t start, int64_t stride, int64_t behind, int64_t length, const Table *c,
                                     int64_t column, int64_t goes_on) {
    if (way >= TILES) take_unit();
    multiply(way, rows, lines_of(a, row, word), (Lines){b + start, stride, behind}, length, c->start + column,
             c->columns, goes_on != 0);
    if (way >= TILES) leave_unit();
}

EXPORT void KERNEL(encoder_finish)(int64_t way, const Table *sums, int64_t rows, const Table *bias, int64_t layer,
                                   int64_t first_column, int64_t columns, int64_t curve, int64_t gated,
                                   const Packed *out,
                                   int64_t row, int64_t into) {
    finish(way, sums->start, sums->columns, rows, columns, row_of(bias, layer) + first_column, curve, gated,
           target_of(out, row, into));
}

EXPORT void KERNEL(encoder_add)(const Table *y, int64_t rows, const Table *bias, int64_t layer, const Table *x,
                                int64_t row) {
    add(y->start, y->columns, rows, row_of(bias, layer), row_of(x, row));
}

EXPORT void KERNEL(encoder_scale)(int64_t way, const Table *sums, int64_t rows, int64_t columns, const float *factors,
                                  const Packed *out, int64_t row, int64_t into) {
    scale(way, sums->start, sums->columns, rows, columns, factors, target_of(out, row, into));
}

EXPORT void KERNEL(encoder_normalise)(int64_t way, int64_t kind, const Table *y, int64_t rows, const Table *scales,
                                      const Table *shifts, int64_t number, float epsilon, int64_t keeps, const Table *x,
                                      int64_t line, const Packed *out, int64_t row) {
    normalise(way, kind, y->start, y->columns, rows, epsilon, keeps != 0, row_of(scales, number), row_of(shifts,
                                                                                                         number),
              row_of(x, line), target_of(out, row, 0));
}

EXPORT void KERNEL(encoder_rotate)(int64_t way, const Table *head, int64_t rows, const Table *bias, int64_t layer,
                                   int64_t column, int64_t normalises, const Table *scales, int64_t number,
                                   float epsilon,
                                   const float *rotations, int64_t n_positions, int64_t rotation,
                                   const int64_t *positions,
                                   const Packed *out, int64_t row, int64_t into) {
    rotate(way, head->start, head->columns, rows, row_of(bias, layer) + column, normalises, row_of(scales, number),
           epsilon, rotations + rotation * n_positions * head->columns, positions + row, target_of(out, row, into));
}

EXPORT void KERNEL(encoder_add_distances)(const Table *logits, int64_t rows, int64_t columns, const Table *distances,
                                          int64_t head, int64_t first) {
    add_distances(logits->start, logits->columns, rows, columns, row_of(distances, head) + first);
}

EXPORT void KERNEL(encoder_exponentials)(int64_t way, const Table *logits, int64_t rows, int64_t count, int64_t padded,
                                         int64_t position, int64_t back, int64_t ahead, const Packed *out,
                                         float *factors) {
    exponentials(way, logits->start, logits->columns, rows, count, padded, position, back, ahead, target_of(out, 0, 0),
                 factors);
}

EXPORT void KERNEL(encoder_attend)(int64_t way, const Packed *projected, int64_t first, int64_t length, int64_t begin,
                                   int64_t end, const Design *design, int64_t key_head, int64_t back, int64_t ahead,
                                   const Table *distances, const Scratch *scratch, const Packed *out) {
    if (way >= TILES) take_unit();
    attend(way, projected, first, length, begin, end, design, key_head, back, ahead, distances, scratch, out);
    if (way >= TILES) leave_unit();
}
