/* A whole encoder over the packed tokens of some texts, in one function, `encode_texts`: embeddings, layers, pooling.
 *
 * It runs in stages, so that threads can share texts. The first stage embeds tokens and projects queries, keys and
 * values. Each further stage computes one layer's attention and feed-forward network, and projects for the next. The
 * last stage pools. A stage starts when the previous one is complete for all tokens.
 *
 *     stage 0         x = embeddings                  projected = norm(x) · W_QKV
 *     stages 1 to l   x += heads(projected) · W_O     x += curve(norm(x) · W_1) · W_2
 *                     projected = norm(x) · W_QKV, not after the last layer
 *     stage l + 1     vectors = pool(x)
 *
 * With post-norm the sums x are normalised, and what is read is x itself.
 *
 * Within a stage, passes of at most MORE_ROWS tokens go through everything after attention, so that their intermediate
 * rows stay in a core's cache.
 *
 * `softkv_attention.kernels.transformer.in_c` has the structures for Python; `parameters` beside it documents their
 * fields. */
#include "attention.h"

enum {
    ROWS = 96,       /* tokens of a pass, so that intermediate rows stay in the L2 cache */
    MORE_ROWS = 192, /* the same for panels of 16 columns: on AVX2 it saves 3 to 5 % to load them half as often */
    WIDENED = 384    /* hidden units of the feed-forward network that are computed and multiplied again at a time: some
                      * groups of integers */
};
enum { MEAN, FIRST, MAXIMUM, LAST };

/* The packed parameters of an encoder of as many layers as output_bias has rows. */
typedef struct {
    Table tokens, positions;
    const int32_t *projections, *output, *inner, *outer; /* the matrices of all layers, one after the other */
    Table projections_bias, output_bias, inner_bias, outer_bias;
    Table scales, shifts;
    const int64_t *norms;
    const float *epsilons;
    Table head_scales;
    const float *head_epsilons;
    const float *rotations; /* [kinds, n_positions, head_width] */
    int64_t n_positions;
    const int64_t *rotation_of, *windows;
    Table distances;
    float token_scale;
} Network;

/* Some texts, whose tokens are concatenated. */
typedef struct {
    const int64_t *tokens, *positions; /* of all texts: each token's number, and its position in its text */
    const int64_t *lengths;            /* int64[count] */
    const int64_t *poolings;           /* int64[n_poolings] */
    int64_t count, n_poolings;
} Texts;

/* What one call computes: the tokens from `first` to `last`, the stages from `begin` to `end`. */
typedef struct {
    int64_t first, last, begin, end;
} Part;

/* Activations of the tokens of some texts, shared by the threads that compute them. */
typedef struct {
    Table x;
    Packed read;
    Packed projected; /* the first of `copies` */
    int64_t copies;   /* layers take them in turn */
    Packed joined;
} Activations;

/* What computes, and the tokens that one pass computes: `rows` tokens from `row` on. Attention computes in float32 if
 * its matrices have integers. */
typedef struct {
    int64_t way, attention_way;
    const Network *network;
    const Design *design;
    const Activations *room;
    const Scratch *scratch;
    int64_t row, rows;
} Pass;

/* A layer's matrix of `columns` columns, each of `depth` words: uint32[parts, columns / width, depth, width], with
 * width = columns_of(way). */
typedef struct {
    const int32_t *start;
    int64_t columns, depth;
} Matrix;

/* The matrix of `layer` that rows of some numbers, like the rows of `a`, are multiplied by. */
INLINE Matrix matrix_of(const Pass *pass, const int32_t *matrices, int64_t layer, int64_t columns, int64_t numbers) {
    const int64_t depth = words_of(pass->way, numbers);
    return (Matrix){matrices + layer * pass->room->read.parts * columns * depth, columns, depth};
}

/* The panel that begins at a column, from a word of its depth on. */
INLINE Lines panel_of(const Matrix *matrix, int64_t way, int64_t column, int64_t word) {
    const int64_t width = columns_of(way);
    return (Lines){matrix->start + column * matrix->depth + word * width, width, matrix->columns * matrix->depth};
}

INLINE Packed projected_of(const Activations *room, int64_t layer) {
    Packed projected = room->projected;
    projected.start += layer % room->copies * projected.parts * projected.rows * projected.words;
    return projected;
}

/* How many of the `left` remaining tokens the next pass computes. Passes have similar sizes, so that the last one is
 * not nearly empty. */
INLINE int64_t pass_rows(int64_t way, int64_t left) {
    const int64_t block = way >= TILES ? TILE_QUERIES : QUERIES, maximum = WIDE || way >= TILES ? ROWS : MORE_ROWS;
    const int64_t blocks = blocks_of(left, block), passes = blocks_of(blocks, maximum / block);
    return min_i64(blocks_of(blocks, passes) * block, left);
}

/* Store curve(a · matrix + bias) packed as `packing` says, for columns `begin` to `end` of the matrix; column `begin`
 * becomes the target's first. With a gate, panels of gate and hidden units alternate, and curve(gate) · hidden units is
 * stored. `a` are the first of some packed rows. Integers are rounded a group at a time, in the buffer of the sums. */
static void activate_products(const Pass *pass, Lines a, const Matrix *matrix, const float *bias, int64_t begin,
                              int64_t end, int64_t curve, int64_t gated, int64_t packing, Target out) {
    const int64_t way = pass->way, width = columns_of(way), rows = pass->rows, stride = pass->scratch->sums.columns;
    float *sums = pass->scratch->sums.start; /* [rows, width], or [rows, 2 · width] with a gate */
    int64_t filled = 0;                      /* numbers of a group that are in front of the sums */
    for (int64_t column = begin; column < end; column += width << gated) {
        for (int64_t side = 0; side < width << gated; side += width)
            multiply(way, rows, a, panel_of(matrix, way, column + side, 0), matrix->depth, sums + filled + side, stride,
                     0);
        if (packing != INT16) {
            finish(packing, sums, stride, rows, width, bias + column, curve, gated, out);
            out.into += width;
            continue;
        }
        const Target group = {(int32_t *)sums, stride, 0, filled};
        finish(FLOAT32, sums + filled, stride, rows, width, bias + column, curve, gated, group);
        filled += width;
        if (filled == GROUP || column + (width << gated) >= end) {
            round_rows(sums, stride, rows, filled, out);
            out.into += filled;
            filled = 0;
        }
    }
}

/* Set y[: rows] to a · matrix, for the matrix's columns from `first` on and `depth` of its words from `begin` on; if
 * `begin` is not 0, add to y. `a` are the first of some packed rows, from the word `begin` of the matrix on. */
static void store_products(const Pass *pass, Lines a, const Matrix *matrix, int64_t first, int64_t begin, int64_t depth,
                           const Table *y) {
    for (int64_t column = 0; column < y->columns; column += columns_of(pass->way))
        multiply(pass->way, pass->rows, a, panel_of(matrix, pass->way, first + column, begin), depth, y->start + column,
                 y->columns, begin > 0);
}

/* Normalise the pass's rows of y by the network's normalisation `number`. They are packed in `room->read`, and stored
 * as float32 in x; if `keeps`, x gets the rows before the normalisation. */
static void normalise_rows(const Pass *pass, int64_t number, int keeps, float *x) {
    const Network *network = pass->network;
    const Table *y = &pass->scratch->y;
    normalise(pass->way, network->norms[number], y->start, y->columns, pass->rows, network->epsilons[number], keeps,
              row_of(&network->scales, number), row_of(&network->shifts, number), x,
              target_of(&pass->room->read, pass->row, 0));
}

/* Normalise what is added up for the normalisation `number`, in `scratch->y`, if the network does so: the output of a
 * branch, or the embeddings. */
static void normalise_branch(const Pass *pass, int64_t number) {
    const int64_t branch = 2 * pass->network->output_bias.rows + 1 + number;
    if (pass->network->norms[branch] != NO_NORM) normalise_rows(pass, branch, 0, pass->scratch->y.start);
}

/* Add the bias and the rows of `room->x` to the output of a branch, y[: rows], after its own normalisation. A network
 * that has one has no bias there. */
static void add_branch(const Pass *pass, int64_t number, const float *bias) {
    const Table *y = &pass->scratch->y;
    normalise_branch(pass, number);
    add(y->start, y->columns, pass->rows, bias, row_of(&pass->room->x, pass->row));
}

/* Set y[: rows] to the embeddings of the pass's tokens: token vector · scale + position vector. */
static void embed(const Pass *pass, const Texts *texts) {
    const Network *network = pass->network;
    const Table *y = &pass->scratch->y;
    for (int64_t line = 0; line < pass->rows; line++) {
        const int64_t position = min_i64(texts->positions[pass->row + line], network->positions.rows - 1);
        const float *token = row_of(&network->tokens, texts->tokens[pass->row + line]);
        const float *at = row_of(&network->positions, position);
        float *into = row_of(y, line);
        for (int64_t column = 0; column < y->columns; column += LANES)
            STORE(into + column, LOAD(f32x16, token + column) * network->token_scale + LOAD(f32x16, at + column));
    }
    normalise_branch(pass, 0);
}

/* Set the pass's rows of `projected` to the queries, keys and values of a layer, side by side. Queries and keys that
 * turn are normalised and rotated head by head, in float32. */
static void project(const Pass *pass, int64_t layer, const int64_t *positions, const Packed *projected) {
    const Network *network = pass->network;
    const Design *design = pass->design;
    const Table *head = &pass->scratch->head;
    const int64_t columns = network->projections_bias.columns, width = design->head_width;
    const Matrix matrix = matrix_of(pass, network->projections, layer, columns, network->tokens.columns);
    const Lines read = lines_of(&pass->room->read, pass->row, 0);
    const float *bias = row_of(&network->projections_bias, layer);
    const float *rotations = network->rotations + network->rotation_of[layer] * network->n_positions * width;
    const int64_t turned = design->turned * (design->heads + design->key_heads) * width;
    for (int64_t first = 0; first < turned; first += width) {
        const int64_t number = 2 * layer + (first >= design->heads * width); /* of the queries, or of the keys */
        store_products(pass, read, &matrix, first, 0, matrix.depth, head);
        rotate(pass->attention_way, head->start, width, pass->rows, bias + first, design->normalises_heads,
               row_of(&network->head_scales, number), network->head_epsilons[number], rotations, positions + pass->row,
               target_of(projected, pass->row, first));
    }
    activate_products(pass, read, &matrix, bias, turned, columns, NONE, 0, pass->attention_way,
                      target_of(projected, pass->row, turned));
}

/* Compute the outputs of all heads for the tokens from `first` to `last`. Each token attends to its own text. */
static void attend_texts(const Pass *pass, int64_t layer, const Texts *texts, int64_t first, int64_t last) {
    const Network *network = pass->network;
    const Packed projected = projected_of(pass->room, layer);
    const int64_t back = network->windows[2 * layer], ahead = network->windows[2 * layer + 1];
    const int64_t *lengths = texts->lengths;
    for (int64_t text = 0, start = 0; text < texts->count; start += lengths[text++]) {
        const int64_t begin = max_i64(start, first), end = min_i64(start + lengths[text], last);
        for (int64_t head = 0; begin < end && head < pass->design->key_heads; head++)
            attend(pass->attention_way, &projected, start, lengths[text], begin, end, pass->design, head, back, ahead,
                   &network->distances, pass->scratch, &pass->room->joined);
    }
}

/* Compute what follows attention in a layer, from the heads' outputs to the normalisation after the layer, whose
 * input is then in `scratch->y`. */
static void finish_layer(const Pass *pass, int64_t layer) {
    const Network *network = pass->network;
    const Design *design = pass->design;
    const Table *y = &pass->scratch->y;
    const Packed *joined = &pass->room->joined, *read = &pass->room->read;
    const int64_t columns = y->columns, gated = design->gated, heads = design->heads * design->head_width;

    const Matrix output = matrix_of(pass, network->output, layer, columns, heads);
    const Lines outputs = lines_of(joined, pass->row, 0);
    if (pass->way == INT16)
        round_rows((const float *)outputs.start, outputs.stride, pass->rows, heads, target_of(joined, pass->row, 0));
    store_products(pass, outputs, &output, 0, 0, output.depth, y);
    add_branch(pass, 2 * layer + 1, row_of(&network->output_bias, layer));
    normalise_rows(pass, 2 * layer + 1, design->norm_first > 0, row_of(&pass->room->x, pass->row));

    /* Hidden units are computed WIDENED at a time, and multiplied at once, so that they stay in the L1 cache. */
    const int64_t units = network->inner_bias.columns >> gated;
    const Matrix inner = matrix_of(pass, network->inner, layer, network->inner_bias.columns, columns);
    const Matrix outer = matrix_of(pass, network->outer, layer, columns, units);
    for (int64_t begin = 0; begin < units; begin += WIDENED) {
        const int64_t end = min_i64(begin + WIDENED, units);
        activate_products(pass, lines_of(read, pass->row, 0), &inner, row_of(&network->inner_bias, layer),
                          begin << gated, end << gated, design->curve, gated, pass->way,
                          target_of(&pass->scratch->hidden, 0, 0));
        store_products(pass, lines_of(&pass->scratch->hidden, 0, 0), &outer, 0, words_of(pass->way, begin),
                       words_of(pass->way, end - begin), y);
    }
    add_branch(pass, 2 * layer + 2, row_of(&network->outer_bias, layer));
}

/* Set out[texts, d] to one vector of each text, pooled from the vectors x of its tokens. The mean is summed token by
 * token. */
static void pool(const Table *x, const Texts *texts, int64_t pooling, float *out) {
    const int64_t width = x->columns, *lengths = texts->lengths;
    for (int64_t text = 0, row = 0; text < texts->count; row += lengths[text++], out += width) {
        const float length = (float)lengths[text];
        for (int64_t column = 0; column < width; column += LANES) {
            const float *from = row_of(x, pooling == LAST ? row + lengths[text] - 1 : row) + column;
            f32x16 into = LOAD(f32x16, from);
            if (pooling == MEAN || pooling == MAXIMUM)
                for (int64_t token = 1; token < lengths[text]; token++) {
                    from += width;
                    const f32x16 one = LOAD(f32x16, from);
                    into = pooling == MAXIMUM ? (one > into ? one : into) : into + one;
                }
            STORE(out + column, pooling == MEAN ? into / length : into);
        }
    }
}

/* Compute the vectors of some texts, or only some stages of that for some of their tokens.
 *
 * Stage 0 embeds tokens, stages 1 to l compute the layers, and stage l + 1 pools all texts, into out[poolings, texts, d].
 * `room` has the activations as earlier stages left them. Vectors are not normalised to length 1. */
EXPORT void KERNEL(encode_texts)(int64_t way, const Network *network, const Design *design, const Texts *texts,
                                 const Activations *room, const Scratch *scratch, const Part *part, float *out) {
    const int64_t first = part->first, last = part->last;
    const int64_t layers = network->output_bias.rows;
    Pass pass = {way, way == INT16 ? FLOAT32 : way, network, design, room, scratch, first, 0};
    if (way >= TILES) take_unit();
    for (int64_t stage = part->begin; stage < min_i64(part->end, layers + 1); stage++) {
        if (stage > 0) attend_texts(&pass, stage - 1, texts, first, last);
        for (pass.row = first; pass.row < last; pass.row += pass.rows) {
            pass.rows = pass_rows(way, last - pass.row);
            if (stage > 0) finish_layer(&pass, stage - 1);
            else embed(&pass, texts);
            const int is_read_and_added = design->norm_first > 0 && stage < layers;
            normalise_rows(&pass, 2 * stage, is_read_and_added, row_of(&room->x, pass.row));
            if (stage < layers) {
                const Packed projected = projected_of(room, stage);
                project(&pass, stage, texts->positions, &projected);
            }
        }
    }
    if (way >= TILES) leave_unit();
    if (part->end > layers + 1)
        for (int64_t number = 0; number < texts->n_poolings; number++, out += texts->count * room->x.columns)
            pool(&room->x, texts, texts->poolings[number], out);
}

/* The number of columns of a panel for a way to multiply. */
EXPORT int64_t KERNEL(encoder_columns_of)(int64_t way) { return columns_of(way); }
