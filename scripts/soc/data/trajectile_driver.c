/* Driver of a Trajectile array. trajectile_driver.h says what each function does. */
#include "trajectile_driver.h"

#define ROUTE_BITS (TRAJ_ROUTE_0_TILE_1_SHIFT - TRAJ_ROUTE_0_TILE_0_SHIFT)
#define ROUTE_TILES (32u / ROUTE_BITS)
#define BEAT_BYTES TRAJ_IO_BEAT_BYTES_VALUE_RESET

/* OK if the tile has taken every access so far; what it has not taken is forgotten. */
static uint32_t taken(uintptr_t tile)
{
    const uint32_t code = read32(tile + TRAJ_REFUSED_OFFSET) & TRAJ_REFUSED_CODE_MASK;

    if (!code)
        return TRAJECTILE_OK;
    write32(tile + TRAJ_REFUSED_OFFSET, 0);
    return TRAJECTILE_REFUSED + code;
}

enum trajectile_status trajectile_probe(uintptr_t tile, uint32_t number)
{
    static const struct { uint32_t offset, value; } expected[] = {
        {TRAJ_ID_OFFSET, TRAJ_ID_VALUE_RESET},
        {TRAJ_D_MODEL_OFFSET, TRAJ_D_MODEL_VALUE_RESET}, {TRAJ_D_FF_OFFSET, TRAJ_D_FF_VALUE_RESET},
        {TRAJ_EXPERTS_OFFSET, TRAJ_EXPERTS_VALUE_RESET}, {TRAJ_TOP_K_OFFSET, TRAJ_TOP_K_VALUE_RESET},
        {TRAJ_TILES_OFFSET, TRAJ_TILES_VALUE_RESET}, {TRAJ_CHANNELS_OFFSET, TRAJ_CHANNELS_VALUE_RESET},
        {TRAJ_MAC_K_OFFSET, TRAJ_MAC_K_VALUE_RESET}, {TRAJ_MAC_N_OFFSET, TRAJ_MAC_N_VALUE_RESET},
        {TRAJ_MAC_T_OFFSET, TRAJ_MAC_T_VALUE_RESET}, {TRAJ_SLICES_OFFSET, TRAJ_SLICES_VALUE_RESET},
        {TRAJ_TOKENS_OFFSET, TRAJ_TOKENS_VALUE_RESET}, {TRAJ_WEIGHTS_OFFSET, TRAJ_WEIGHTS_VALUE_RESET},
        {TRAJ_SCALE_MANTISSA_OFFSET, TRAJ_SCALE_MANTISSA_VALUE_RESET},
        {TRAJ_ACTIVATION_OFFSET, TRAJ_ACTIVATION_VALUE_RESET}, {TRAJ_BIAS_OFFSET, TRAJ_BIAS_VALUE_RESET},
        {TRAJ_TIMING_ONLY_OFFSET, TRAJ_TIMING_ONLY_VALUE_RESET}, {TRAJ_IO_BEAT_BYTES_OFFSET, BEAT_BYTES},
    };
    uint32_t i;

    for (i = 0; i < sizeof expected / sizeof expected[0]; i++)
        if (read32(tile + expected[i].offset) != expected[i].value)
            return TRAJECTILE_MISMATCH;
    if ((read32(tile + TRAJ_VERSION_OFFSET) & TRAJ_VERSION_MAJOR_MASK) >> TRAJ_VERSION_MAJOR_SHIFT != TRAJ_VERSION_MAJOR_RESET
            || read32(tile + TRAJ_TILE_ID_OFFSET) != number)
        return TRAJECTILE_MISMATCH;
    return TRAJECTILE_OK;
}

uint32_t trajectile_set(uintptr_t tile, const struct trajectile_settings *settings)
{
    uint32_t i, routes = 0;

    write32(tile + TRAJ_RING_NEXT_OFFSET, settings->ring_next);
    write32(tile + TRAJ_RING_PREV_OFFSET, settings->ring_prev);
    for (i = 0; i < TRAJECTILE_TILES; i++) {
        if (settings->route[i] > TRAJ_PORT_LOCAL)
            return TRAJECTILE_REFUSED + TRAJ_REFUSAL_VALUE;
        routes |= settings->route[i] << (i % ROUTE_TILES) * ROUTE_BITS;
        if (i % ROUTE_TILES == ROUTE_TILES - 1 || i == TRAJECTILE_TILES - 1) {
            write32(tile + TRAJ_ROUTE_0_OFFSET + i / ROUTE_TILES * 4, routes);
            routes = 0;
        }
    }
    write32(tile + TRAJ_WATCHDOG_OFFSET, settings->watchdog);
    write32(tile + TRAJ_IO_READ_BASE_OFFSET, settings->read_page);
    write32(tile + TRAJ_IO_READ_SIZE_OFFSET, settings->read_pages);
    write32(tile + TRAJ_IO_WRITE_BASE_OFFSET, settings->write_page);
    write32(tile + TRAJ_IO_WRITE_SIZE_OFFSET, settings->write_pages);
    write32(tile + TRAJ_IO_LOCK_OFFSET, settings->lock ? TRAJ_IO_LOCK_LOCKED_MASK : 0);
    write32(tile + TRAJ_IRQ_ENABLE_OFFSET, settings->interrupts);
    return taken(tile);
}

uint32_t trajectile_queue(uintptr_t tile, const struct trajectile_batch *batch)
{
    const uint64_t layer = batch->layer, records = batch->records, results = batch->results;

    if ((layer | records | results) >> 40)
        return TRAJECTILE_REFUSED + TRAJ_REFUSAL_VALUE;
    if (batch->tokens > TRAJ_TOKENS_VALUE_RESET || batch->order > TRAJ_ORDER_BALANCED || batch->bf16 > 1 || batch->tag > 255
            || batch->shared > TRAJ_SHARES_VALUE_RESET)
        return TRAJECTILE_REFUSED + TRAJ_REFUSAL_VALUE;
    batch->completion->state = batch->completion->again = 0;
    write32(tile + TRAJ_BATCH_LAYER_OFFSET, (uint32_t)layer);
    write32(tile + TRAJ_BATCH_RECORDS_OFFSET, (uint32_t)records);
    write32(tile + TRAJ_BATCH_RESULTS_OFFSET, (uint32_t)results);
    write32(tile + TRAJ_BATCH_HIGH_OFFSET, (uint32_t)(layer >> 32) << TRAJ_BATCH_HIGH_LAYER_SHIFT
        | (uint32_t)(records >> 32) << TRAJ_BATCH_HIGH_RECORDS_SHIFT
        | (uint32_t)(results >> 32) << TRAJ_BATCH_HIGH_RESULTS_SHIFT);
    write32(tile + TRAJ_DOORBELL_OFFSET, batch->tokens << TRAJ_DOORBELL_TOKENS_SHIFT
        | batch->order << TRAJ_DOORBELL_ORDER_SHIFT | batch->bf16 << TRAJ_DOORBELL_BF16_SHIFT
#ifdef TRAJ_DOORBELL_SHARED_SHIFT /* in builds in which a batch may be shared */
        | batch->shared << TRAJ_DOORBELL_SHARED_SHIFT
#endif
        | batch->tag << TRAJ_DOORBELL_TAG_SHIFT);
    return taken(tile);
}

enum trajectile_status trajectile_wait(const struct trajectile_batch *batch, uint32_t looks)
{
    const uint32_t mask = TRAJ_COMPLETION_VALID_MASK | TRAJ_COMPLETION_TAG_MASK;
    const uint32_t wanted = TRAJ_COMPLETION_VALID_MASK | batch->tag;

    for (; looks; looks--, relax())
        if ((batch->completion->state & mask) == wanted && (batch->completion->again & mask) == wanted)
            return batch->completion->state & TRAJ_COMPLETION_FAILED_MASK ? TRAJECTILE_FAILED : TRAJECTILE_OK;
    return TRAJECTILE_TIMEOUT;
}

uint32_t trajectile_interrupt(uintptr_t tile)
{
    const uint32_t causes = read32(tile + TRAJ_IRQ_STATUS_OFFSET);

    if (causes)
        write32(tile + TRAJ_IRQ_STATUS_OFFSET, causes);
    return causes;
}

uint32_t trajectile_error(uintptr_t tile)
{
    return read32(tile + TRAJ_ERROR_OFFSET);
}

enum trajectile_status trajectile_reset(uintptr_t tile, uint32_t looks)
{
    write32(tile + TRAJ_CONTROL_OFFSET, TRAJ_CONTROL_RESET_MASK);
    for (; looks; looks--, relax()) /* every tile shows the same until the last is ready */
        if (!(read32(tile + TRAJ_STATUS_OFFSET) & TRAJ_STATUS_RESETTING_MASK))
            return TRAJECTILE_OK;
    return TRAJECTILE_TIMEOUT;
}

void trajectile_put_token(uint8_t *records, uint32_t tokens, uint32_t token, int8_t exponent, const uint16_t *expert,
                          const uint16_t *weight, const uint8_t *shift, const int8_t *x)
{
    uint8_t *const head = records + token * TRAJ_HEAD_BYTES_VALUE_RESET;
    uint8_t *const row = records + tokens * TRAJ_HEAD_BYTES_VALUE_RESET + token * TRAJ_ROW_BYTES_VALUE_RESET;
    uint32_t i;

    for (i = 0; i < TRAJ_HEAD_BYTES_VALUE_RESET; i++)
        head[i] = 0;
    for (i = 0; i < TRAJ_ROW_BYTES_VALUE_RESET; i++)
        row[i] = 0;
    head[0] = (uint8_t)exponent;
    for (i = 0; i < TRAJECTILE_TOP_K; i++) {
        head[4 * i + 4] = (uint8_t)(expert[i] & 255);
        head[4 * i + 5] = (uint8_t)(expert[i] >> 8);
        head[4 * i + 6] = (uint8_t)(weight[i] & 255);
        head[4 * i + 7] = (uint8_t)(weight[i] >> 8);
    }
    for (i = 0; i < TRAJECTILE_D_MODEL; i++) {
        if (i % TRAJECTILE_BLOCK_INPUTS == 0) {
            const uint32_t block = i / TRAJECTILE_BLOCK_INPUTS;

            row[block / 4] = (uint8_t)(row[block / 4] | (shift[block] & 3u) << 2 * (block % 4));
        }
        row[TRAJ_SHIFT_BYTES_VALUE_RESET + i] = (uint8_t)x[i];
    }
}

void trajectile_get_token(const uint8_t *results, uint32_t bf16, uint32_t token, uint32_t *y, int32_t *unit, uint32_t *clips)
{
    const uint32_t bytes = bf16 ? TRAJ_RESULT_BYTES_BF16_VALUE_RESET : TRAJ_RESULT_BYTES_INT32_VALUE_RESET;
    const uint32_t group = bf16 ? TRAJ_GROUP_BYTES_BF16_VALUE_RESET : TRAJ_GROUP_BYTES_INT32_VALUE_RESET;
    const uint32_t size = bf16 ? 2 : 4;
    const uint8_t *const row = results + TRAJ_COMPLETION_BYTES_VALUE_RESET + token * bytes;
    const uint8_t *const last = row + bytes - BEAT_BYTES;
    uint32_t i, j;

    for (i = 0; i < TRAJECTILE_D_MODEL; i++) {
        const uint8_t *const value = row + i / TRAJ_MAC_N_VALUE_RESET * group + i % TRAJ_MAC_N_VALUE_RESET * size;

        y[i] = 0;
        for (j = 0; j < size; j++)
            y[i] |= (uint32_t)value[j] << 8 * (4 - size + j);
    }
    *clips = (uint32_t)last[0] | (uint32_t)last[1] << 8;
    *unit = last[2] < 128 ? last[2] : (int32_t)last[2] - 256;
}
