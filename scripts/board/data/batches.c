/* Batches that a job in the DRAM describes: records by the driver, queued, waited for, results compared with the expected ones. */
#include <stdio.h>

#include "board.h"

#define JOB_MAGIC 0x424F4A54u
#define WORDS(bytes) (((bytes) + 3u) / 4u)
/* results are said to differ so often, then only counted */
#define SAID 4u

/* A token as it is to be recorded, and its results as the golden model has them. */
struct token {
    int32_t exponent;
    uint16_t expert[2u * WORDS(2u * TRAJECTILE_TOP_K)], weight[2u * WORDS(2u * TRAJECTILE_TOP_K)];
    uint8_t shift[4u * WORDS(SHIFTS)];
    int8_t x[4u * WORDS(TRAJECTILE_D_MODEL)];
    uint32_t y[TRAJECTILE_D_MODEL];
    int32_t unit;
    uint32_t clips;
};

/* How often the same tokens make a batch, how it is done, and the tokens of the tiles, one tile's after the other's. */
struct job {
    uint32_t magic, batches, order, bf16, shared, watchdog, tokens[TRAJECTILE_TILES];
    struct place places[TRAJECTILE_TILES];
    struct token token[];
};

static const struct job *const job = (const struct job *)RAM(BOARD_JOB);

int tiles_ready(const struct place *places, uint32_t watchdog)
{
    for (uint32_t tile = 0; tile < TRAJECTILE_TILES; tile++) {
        struct trajectile_settings settings = {
            .ring_next = places[tile].ring_next, .ring_prev = places[tile].ring_prev, .watchdog = watchdog,
            .read_page = BOARD_RECORDS >> 12, .read_pages = (BOARD_RESULTS - BOARD_RECORDS) >> 12,
            .write_page = BOARD_RESULTS >> 12, .write_pages = (BOARD_MODEL - BOARD_RESULTS) >> 12,
        };
        uint32_t status = trajectile_probe(TILE(tile), tile);

        for (uint32_t i = 0; i < TRAJECTILE_TILES; i++)
            settings.route[i] = places[tile].route[i];
        if (!status)
            status = trajectile_set(TILE(tile), &settings);
        if (status) {
            printf("tile %u: status %u\n", tile, status);
            return 0;
        }
    }
    return 1;
}

int batch_done(const struct trajectile_batch *batches)
{
    int good = 1;

    for (uint32_t tile = 0; tile < TRAJECTILE_TILES; tile++) {
        const uint32_t status = trajectile_wait(&batches[tile], LOOKS);
        const volatile struct trajectile_completion *const record = batches[tile].completion;

        if (status || record->errors) {
            printf("tile %u: status %u, errors %x\n", tile, status, record->errors | trajectile_error(TILE(tile)));
            good = 0;
        }
    }
    look_again();
    return good;
}

/* How many of a tile's results are not as expected; the first are said. */
static uint32_t wrong(uint32_t tile, const struct token *expected, const struct trajectile_batch *batch)
{
    const uint8_t *const results = (const uint8_t *)RAM(batch->results);
    uint32_t y[TRAJECTILE_D_MODEL], clips, found = 0;
    int32_t unit;

    for (uint32_t i = 0; i < batch->tokens; i++) {
        trajectile_get_token(results, batch->bf16, i, y, &unit, &clips);
        if (unit != expected[i].unit || clips != expected[i].clips) {
            printf("tile %u token %u: unit %d, clips %u; expected %d, %u\n", tile, i, unit, clips, expected[i].unit,
                   expected[i].clips);
            found++;
        }
        for (uint32_t j = 0; j < TRAJECTILE_D_MODEL; j++)
            if (y[j] != expected[i].y[j] && found++ < SAID)
                printf("tile %u token %u result %u: %x; expected %x\n", tile, i, j, y[j], expected[i].y[j]);
    }
    return found;
}

int run_batches(void)
{
    static struct trajectile_batch batches[TRAJECTILE_TILES];
    const struct token *token = job->token;
    int good = 1;

    look_again();
    if (job->magic != JOB_MAGIC) {
        puts("no job");
        return 0;
    }
    if (!tiles_ready(job->places, job->watchdog))
        return 0;
    for (uint32_t tile = 0; tile < TRAJECTILE_TILES; tile++)
        for (uint32_t i = 0; i < job->tokens[tile]; i++, token++)
            trajectile_put_token((uint8_t *)RAM(BOARD_RECORDS + tile * BOARD_TILE_BYTES), job->tokens[tile], i,
                                 (int8_t)token->exponent, token->expert, token->weight, token->shift, token->x);
    for (uint32_t number = 0; number < job->batches; number++) {
        uint32_t longest = 0, taken, status;

        cycles(1);
        for (uint32_t tile = 0; tile < TRAJECTILE_TILES; tile++) {
            const uint32_t results = BOARD_RESULTS + (number % 2 * TRAJECTILE_TILES + tile) * BOARD_TILE_BYTES;

            batches[tile] = (struct trajectile_batch){
                .layer = 0, .records = BOARD_RECORDS + tile * BOARD_TILE_BYTES, .results = results,
                .completion = (volatile struct trajectile_completion *)RAM(results), .tokens = job->tokens[tile],
                .order = job->order, .bf16 = job->bf16, .tag = number & 255, .shared = job->shared,
            };
            status = trajectile_queue(TILE(tile), &batches[tile]);
            if (status) {
                printf("tile %u: not queued, status %u\n", tile, status);
                return 0;
            }
        }
        good &= batch_done(batches);
        taken = cycles(0);
        token = job->token;
        for (uint32_t tile = 0; tile < TRAJECTILE_TILES; tile++) {
            const uint32_t count = wrong(tile, token, &batches[tile]);

            token += job->tokens[tile];
            if (count)
                good = 0;
            if (batches[tile].completion->cycles > longest)
                longest = batches[tile].completion->cycles;
            printf("batch %u tile %u: %u tokens, %u results differ\n", number, tile, job->tokens[tile], count);
        }
        printf("batch %u: %u cycles, %u with the driver\n", number, longest, taken);
    }
    return good;
}
