/* The toy language model byte by byte: its MoE layers are batches of one token for the array, all else is computed here.
 *
 * Numbers are integers with a fixed point. Weights have 16 bits; sums do not overflow 32 (scripts/board/toy.py sees to that). The
 * same steps as in docs/toy_model.md: norm, attention over all bytes so far, norm, gate, MoE layer; then the next block;
 * last a norm and the output matrix. */
#include <stdio.h>

#include "board.h"

#if TRAJECTILE_D_MODEL == 64 && TRAJ_EXPERTS_VALUE_RESET == 64 && TRAJECTILE_TOP_K == 6

#define TOY_MAGIC 0x594F5454u
#define D 64u
#define EXPERTS 64u
#define BLOCKS 2u
#define HEADS 4u
#define HEAD (D / HEADS)
/* fraction bits: of the stream and of logits; of normalised values; of what meets weights, of keys and values; of likelihoods */
#define STREAM 16
#define NORMAL 15
#define INPUT 11
#define SHARE 15
#define NORM_EPSILON 42950u /* 1e-5 with 32 fraction bits */
#define SHIFT_MOST 3

/* A matrix: fraction bits of its weights, then [outputs][D]. */
#define MATRIX(outputs) \
    struct { \
        int32_t fraction; \
        int16_t weight[outputs][D]; \
    }

struct block {
    /* 13 fraction bits */
    int16_t attention_norm[D], moe_norm[D];
    MATRIX(3 * D) qkv;
    MATRIX(D) out;
    MATRIX(EXPERTS) router;
};

/* What the host puts into the DRAM. */
struct toy {
    uint32_t magic, watchdog, layer_pitch, order;
    struct place places[TRAJECTILE_TILES];
    /* of positions, 14 fraction bits: cosine and sine for each pair of a head's channels */
    int16_t turn[BOARD_CONTEXT][2][HEAD / 2];
    /* 2^-(i / 1024), 15 fraction bits */
    uint16_t power[1024];
    /* 13 fraction bits */
    int16_t norm[D], embedding[256][D];
    MATRIX(256) head;
    struct block blocks[BLOCKS];
};

/* Behind it: keys and values of the bytes so far, 11 fraction bits. */
struct seen {
    int16_t key[BOARD_CONTEXT][D], value[BOARD_CONTEXT][D];
};

static const struct toy *const toy = (const struct toy *)RAM(BOARD_MODEL);
static struct seen *const seen = (struct seen *)RAM(BOARD_SEEN);
/* batches so far of this text */
static uint32_t batches;

/* Shift to the right, rounded; to the left if negative. */
static int32_t shifted(int64_t value, int bits)
{
    return (int32_t)(bits > 0 ? (value + ((int64_t)1 << (bits - 1))) >> bits : value << -bits);
}

static int16_t clipped(int32_t value)
{
    return (int16_t)(value > 32767 ? 32767 : value < -32767 ? -32767 : value);
}

static int32_t dot(const int16_t *weight, const int16_t *input)
{
    uint32_t sum = 0;

#pragma GCC unroll 8
    for (uint32_t i = 0; i < D; i++)
        sum += (uint32_t)(weight[i] * input[i]);
    return (int32_t)sum;
}

static uint32_t root(uint64_t square)
{
    uint64_t found = 0, bit = (uint64_t)1 << 62;

    for (; bit; bit >>= 2) {
        if (square >= found + bit) {
            square -= found + bit;
            found = found / 2 + bit;
        } else {
            found /= 2;
        }
    }
    return (uint32_t)found;
}

/* RMSNorm: values of 15 fraction bits, and of 11 as they meet weights. */
static void normalised(const int32_t *x, const int16_t *weight, int32_t *normal, int16_t *input)
{
    uint64_t squares = 0, inverse;

    for (uint32_t i = 0; i < D; i++)
        squares += (uint64_t)((int64_t)x[i] * x[i]);
    inverse = ((uint64_t)1 << 40) / root(squares / D + NORM_EPSILON);
    for (uint32_t i = 0; i < D; i++) {
        const int32_t share = shifted(x[i] * (int64_t)inverse, 40 - 20);

        normal[i] = shifted((int64_t)share * weight[i], 20 + 13 - NORMAL);
        input[i] = clipped(shifted(normal[i], NORMAL - INPUT));
    }
}

/* exp(-below) with 15 fraction bits; below has STREAM of them, and is multiplied by scale, which has 16. */
static uint32_t likelihood(uint32_t below, uint32_t scale)
{
    const uint64_t power = (uint64_t)below * scale >> 16;

    return power >= (uint64_t)SHARE << STREAM ? 0 : toy->power[power >> (STREAM - 10) & 1023] >> (uint32_t)(power >> STREAM);
}

/* Turn the pairs of a head's channels by their position. */
static void turned(int16_t *head, uint32_t position)
{
    for (uint32_t i = 0; i < HEAD / 2; i++) {
        const int32_t low = head[i], high = head[i + HEAD / 2];
        const int32_t cosine = toy->turn[position][0][i], sine = toy->turn[position][1][i];

        head[i] = clipped(shifted(low * cosine - high * sine, 14));
        head[i + HEAD / 2] = clipped(shifted(low * sine + high * cosine, 14));
    }
}

/* A head over all bytes so far; log2(e) / sqrt(HEAD) is 0.36067 for HEAD = 16. */
static void attended(const int16_t *query, const struct seen *all, uint32_t position, uint32_t first, int16_t *mixed)
{
    static int32_t score[BOARD_CONTEXT];
    int64_t sums[HEAD] = {0};
    int32_t most = INT32_MIN;
    uint32_t total = 0, inverse;

    for (uint32_t at = 0; at <= position; at++) {
        score[at] = 0;
        for (uint32_t i = 0; i < HEAD; i++)
            score[at] += query[i] * all->key[at][first + i] >> (2 * INPUT - STREAM);
        if (score[at] > most)
            most = score[at];
    }
    for (uint32_t at = 0; at <= position; at++) {
        const uint32_t share = likelihood((uint32_t)(most - score[at]), 23637);

        total += share;
        for (uint32_t i = 0; share && i < HEAD; i++)
            sums[i] += (int32_t)share * all->value[at][first + i];
    }
    inverse = 0xFFFFFFFFu / total;
    for (uint32_t i = 0; i < HEAD; i++)
        mixed[i] = clipped(shifted(sums[i] * inverse, 32));
}

static void attention(const struct block *block, struct seen *all, uint32_t position, int32_t *x)
{
    int32_t normal[D];
    int16_t input[D], query[D], mixed[D];
    int16_t *const parts[3] = {query, all->key[position], all->value[position]};

    normalised(x, block->attention_norm, normal, input);
    for (uint32_t i = 0; i < 3 * D; i++)
        parts[i / D][i % D] = clipped(shifted(dot(block->qkv.weight[i], input), block->qkv.fraction));
    for (uint32_t head = 0; head < HEADS; head++) {
        turned(query + head * HEAD, position);
        turned(all->key[position] + head * HEAD, position);
        attended(query + head * HEAD, all, position, head * HEAD, mixed + head * HEAD);
    }
    for (uint32_t i = 0; i < D; i++)
        x[i] += shifted(dot(block->out.weight[i], mixed), block->out.fraction + INPUT - STREAM);
}

/* A weight of 32 fraction bits in the records' format: 11 bits of fraction, and an exponent. */
static uint16_t choice_weight(uint64_t weight)
{
    uint32_t bits = 0, mantissa;

    while (weight >> bits)
        bits++;
    if (bits < 8) /* below 2^-25 */
        return 0;
    mantissa = (uint32_t)shifted((int64_t)weight, (int)bits - 12);
    if (mantissa >> 12)
        bits++;
    return (uint16_t)((mantissa >> 12 ? 0 : mantissa & 2047) | (bits - 33 + 26) << 11);
}

/* The likeliest experts and their weights, which sum to one. */
static void gate(const struct block *block, const int16_t *input, uint16_t *expert, uint16_t *weight)
{
    int32_t score[EXPERTS], first = 0;
    uint32_t share[TRAJECTILE_TOP_K], total = 0;

    for (uint32_t i = 0; i < EXPERTS; i++)
        score[i] = shifted(dot(block->router.weight[i], input), block->router.fraction + INPUT - STREAM);
    for (uint32_t rank = 0; rank < TRAJECTILE_TOP_K; rank++) {
        uint32_t best = 0;

        for (uint32_t i = 1; i < EXPERTS; i++)
            if (score[i] > score[best])
                best = i;
        if (!rank)
            first = score[best];
        share[rank] = likelihood((uint32_t)(first - score[best]), 94548);
        total += share[rank];
        expert[rank] = (uint16_t)best;
        score[best] = INT32_MIN;
    }
    for (uint32_t rank = 0; rank < TRAJECTILE_TOP_K; rank++)
        weight[rank] = choice_weight(((uint64_t)share[rank] << 32) / total);
}

/* Activations of 8 bits: a shift for each block of inputs, an exponent for all; returns the exponent. */
static int quantised(const int32_t *normal, uint8_t *shift, int8_t *x)
{
    int fits[SHIFTS], most = INT32_MIN;

    for (uint32_t block = 0; block < SHIFTS; block++) {
        int32_t largest = 0;

        for (uint32_t i = block * TRAJECTILE_BLOCK_INPUTS; i < D && i < (block + 1) * TRAJECTILE_BLOCK_INPUTS; i++)
            if ((normal[i] < 0 ? -normal[i] : normal[i]) > largest)
                largest = normal[i] < 0 ? -normal[i] : normal[i];
        for (fits[block] = 0; shifted(largest, fits[block]) > 127; fits[block]++)
            ;
        if (fits[block] > most)
            most = fits[block];
    }
    for (uint32_t block = 0; block < SHIFTS; block++)
        shift[block] = (uint8_t)(fits[block] > most - SHIFT_MOST ? fits[block] - most + SHIFT_MOST : 0);
    for (uint32_t i = 0; i < D; i++)
        x[i] = (int8_t)shifted(normal[i], most - SHIFT_MOST + shift[i / TRAJECTILE_BLOCK_INPUTS]);
    return most - SHIFT_MOST - NORMAL;
}

/* A block's MoE layer: a batch of one token, which tile 0 holds. */
static int moe_layer(uint32_t number, int32_t *x)
{
    static struct trajectile_batch queued[TRAJECTILE_TILES];
    const struct block *const block = &toy->blocks[number];
    const uint32_t records = BOARD_RECORDS + batches * BOARD_TEXT_RECORD_BYTES;
    int32_t normal[D], unit;
    int16_t input[D];
    uint16_t expert[TRAJECTILE_TOP_K], weight[TRAJECTILE_TOP_K];
    uint8_t shift[SHIFTS];
    int8_t values[D];
    uint32_t y[D], clips;

    normalised(x, block->moe_norm, normal, input);
    gate(block, input, expert, weight);
    trajectile_put_token((uint8_t *)RAM(records), 1, 0, (int8_t)quantised(normal, shift, values), expert, weight, shift, values);
    for (uint32_t tile = 0; tile < TRAJECTILE_TILES; tile++) {
        const uint32_t results = BOARD_RESULTS + (batches * TRAJECTILE_TILES + tile) * BOARD_TEXT_RESULT_BYTES;

        queued[tile] = (struct trajectile_batch){
            .layer = number * toy->layer_pitch, .records = records, .results = results,
            .completion = (volatile struct trajectile_completion *)RAM(results), .tokens = tile == 0, .order = toy->order,
            .tag = batches & 255,
        };
        if (trajectile_queue(TILE(tile), &queued[tile])) {
            printf("tile %u: not queued\n", tile);
            return 0;
        }
    }
    batches++;
    if (!batch_done(queued))
        return 0;
    trajectile_get_token((const uint8_t *)RAM(queued[0].results), 0, 0, y, &unit, &clips);
    for (uint32_t i = 0; i < D; i++)
        x[i] += shifted((int32_t)y[i], -unit - STREAM);
    return 1;
}

/* A byte at its position goes through the blocks; x is the stream behind them. */
static int read_byte(uint8_t byte, uint32_t position, int32_t *x)
{
    for (uint32_t i = 0; i < D; i++)
        x[i] = toy->embedding[byte][i] * (1 << (STREAM - 13));
    for (uint32_t number = 0; number < BLOCKS; number++) {
        attention(&toy->blocks[number], &seen[number], position, x);
        if (!moe_layer(number, x))
            return 0;
    }
    return 1;
}

/* The likeliest byte behind the stream. */
static uint8_t likeliest(const int32_t *x)
{
    int32_t normal[D], most = INT32_MIN;
    int16_t input[D];
    uint8_t best = 0;

    normalised(x, toy->norm, normal, input);
    for (uint32_t i = 0; i < 256; i++) {
        const int32_t logit = dot(toy->head.weight[i], input);

        if (logit > most) {
            most = logit;
            best = (uint8_t)i;
        }
    }
    return best;
}

int write_text(uint32_t length, uint32_t prompt)
{
    static uint8_t text[BOARD_CONTEXT];
    uint32_t position;
    int32_t x[D];
    int good = 1;

    if (prompt > BOARD_CONTEXT) {
        puts("no room for the prompt");
        return 0;
    }
    for (position = 0; position < prompt; position++)
        text[position] = get();
    batches = 0;
    look_again();
    if (toy->magic != TOY_MAGIC || !prompt || !length || length + prompt > BOARD_CONTEXT + 1) {
        puts("no model, no text, or too long a text");
        return 0;
    }
    if (!tiles_ready(toy->places, toy->watchdog))
        return 0;
    cycles(1);
    for (position = 0; position < prompt && good; position++)
        good = read_byte(text[position], position, x);
    printf("text ");
    while (good && length--) {
        const uint8_t next = likeliest(x);

        put(next);
        if (length)
            good = read_byte(next, position++, x);
    }
    printf("\n%u batches, %u cycles\n", batches, cycles(0));
    return good;
}

#else

int write_text(uint32_t length, uint32_t prompt)
{
    (void)length;
    for (; prompt; prompt--)
        get();
    puts("layers of another shape than the toy model's");
    return 0;
}

#endif
