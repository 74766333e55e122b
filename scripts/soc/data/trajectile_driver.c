/* Driver of a Trajectile array. trajectile_driver.h says what each function does. */
#include "trajectile_driver.h"

#define ROUTE_BITS (TRAJ_ROUTE_0_TILE_1_SHIFT - TRAJ_ROUTE_0_TILE_0_SHIFT)
#define ROUTE_TILES (32u / ROUTE_BITS)
#define IRQ_CAUSES (TRAJ_IRQ_STATUS_DONE_MASK | TRAJ_IRQ_STATUS_ERROR_MASK | TRAJ_IRQ_STATUS_REFUSED_MASK)
/* Places for tokens in a lane. */
#define LANE_TOKENS (TRAJ_TABLE_ACTIVATIONS_DEPTH / TRAJ_GATE_UP_CHUNKS_VALUE_RESET)

static uint32_t get(const struct trajectile *array, uint32_t tile, uint32_t offset)
{
    return read32(array->base + tile * array->stride + offset);
}

static void put(const struct trajectile *array, uint32_t tile, uint32_t offset, uint32_t value)
{
    write32(array->base + tile * array->stride + offset, value);
}

/* OK if the tile has taken every access so far. */
static enum trajectile_status taken(const struct trajectile *array, uint32_t tile)
{
    return get(array, tile, TRAJ_REFUSED_OFFSET) & TRAJ_REFUSED_CODE_MASK ? TRAJECTILE_REFUSED : TRAJECTILE_OK;
}

static void clear(uint32_t *words, uint32_t count)
{
    while (count)
        words[--count] = 0;
}

/* Add a field to an entry of zeros; returns 1 if the value is too large for it. */
static int pack(uint32_t *words, uint32_t low, uint32_t width, uint32_t value)
{
    uint32_t word = low / 32, bit = low % 32;

    if (width < 32 && value >> width)
        return 1;
    words[word] |= value << bit;
    if (bit + width > 32)
        words[word + 1] |= value >> (32 - bit);
    return 0;
}

static void point_at(const struct trajectile *array, uint32_t tile, uint32_t table, uint32_t lane, uint32_t index)
{
    put(array, tile, TRAJ_TABLE_SELECT_OFFSET,
        table << TRAJ_TABLE_SELECT_TABLE_SHIFT | lane << TRAJ_TABLE_SELECT_LANE_SHIFT);
    put(array, tile, TRAJ_TABLE_INDEX_OFFSET, index);
}

static void put_entry(const struct trajectile *array, uint32_t tile, const uint32_t *words, uint32_t count)
{
    uint32_t i;

    for (i = 0; i < count; i++)
        put(array, tile, TRAJ_TABLE_DATA_OFFSET, words[i]);
}

/* The same for a signed field, in two's complement. */
static int pack_signed(uint32_t *words, uint32_t low, uint32_t width, int32_t value)
{
    int32_t limit = (int32_t)(1u << (width - 1));

    if (value < -limit || value >= limit)
        return 1;
    return pack(words, low, width, (uint32_t)value & ((1u << width) - 1));
}

#define PACK(words, low, table, field, value) \
    pack(words, (low) + TRAJ_ENTRY_##table##_##field##_LOW, TRAJ_ENTRY_##table##_##field##_WIDTH, value)

static int put_rule(const struct trajectile *array, uint32_t tile, const struct trajectile_rule *rule)
{
    uint32_t words[TRAJ_TABLE_RULES_WORDS];
    int wide;

    clear(words, TRAJ_TABLE_RULES_WORDS);
    wide = PACK(words, 0, RULES, HERE, rule->here) | PACK(words, 0, RULES, NEXT, rule->next)
        | PACK(words, 0, RULES, FIRST, rule->first) | PACK(words, 0, RULES, PASSES, rule->passes);
    if (!wide)
        put_entry(array, tile, words, TRAJ_TABLE_RULES_WORDS);
    return wide;
}

static int put_load(const struct trajectile *array, uint32_t tile, const struct trajectile_load *load)
{
    uint32_t words[TRAJ_TABLE_LOADS_WORDS];
    int wide;

    clear(words, TRAJ_TABLE_LOADS_WORDS);
    wide = PACK(words, 0, LOADS, EXPERT, load->expert) | PACK(words, 0, LOADS, INDEX, load->index)
        | PACK(words, 0, LOADS, ROW, load->row) | PACK(words, 0, LOADS, HERE, load->here)
        | PACK(words, 0, LOADS, NEXT, load->next) | PACK(words, 0, LOADS, LEFT, load->left);
    if (!wide)
        put_entry(array, tile, words, TRAJ_TABLE_LOADS_WORDS);
    return wide;
}

static int put_pass(const struct trajectile *array, uint32_t tile, const struct trajectile_token *token)
{
    uint32_t words[TRAJ_TABLE_TOKENS_WORDS], lane;
    int wide = 0;

    clear(words, TRAJ_TABLE_TOKENS_WORDS);
    for (lane = 0; lane < TRAJ_TABLE_TOKENS_ELEMENTS; lane++, token++) {
        uint32_t low = lane * TRAJ_TABLE_TOKENS_STRIDE_BITS;
        wide |= PACK(words, low, TOKENS, VALID, token->valid) | PACK(words, low, TOKENS, TOKEN, token->token)
            | PACK(words, low, TOKENS, WEIGHT, token->weight)
            | pack_signed(words, low + TRAJ_ENTRY_TOKENS_EXPONENT_LOW, TRAJ_ENTRY_TOKENS_EXPONENT_WIDTH, token->exponent);
    }
    if (!wide)
        put_entry(array, tile, words, TRAJ_TABLE_TOKENS_WORDS);
    return wide;
}

enum trajectile_status trajectile_probe(const struct trajectile *array)
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
        {TRAJ_TIMING_ONLY_OFFSET, TRAJ_TIMING_ONLY_VALUE_RESET},
    };
    uint32_t tile, i;

    for (tile = 0; tile < TRAJECTILE_TILES; tile++) {
        for (i = 0; i < sizeof expected / sizeof expected[0]; i++)
            if (get(array, tile, expected[i].offset) != expected[i].value)
                return TRAJECTILE_MISMATCH;
        if ((get(array, tile, TRAJ_VERSION_OFFSET) & TRAJ_VERSION_MAJOR_MASK) >> TRAJ_VERSION_MAJOR_SHIFT
                != TRAJ_VERSION_MAJOR_RESET || get(array, tile, TRAJ_TILE_ID_OFFSET) != tile)
            return TRAJECTILE_MISMATCH;
    }
    return TRAJECTILE_OK;
}

enum trajectile_status trajectile_program(const struct trajectile *array, uint32_t tile,
                                          const struct trajectile_program *program)
{
    uint32_t i, routes = 0;

    if (tile >= TRAJECTILE_TILES || program->passes > TRAJ_TABLE_TOKENS_DEPTH || program->loads > TRAJ_TABLE_LOADS_DEPTH)
        return TRAJECTILE_RANGE;
    put(array, tile, TRAJ_DDR_BASE_OFFSET, (uint32_t)program->ddr_base);
    put(array, tile, TRAJ_DDR_BASE_HIGH_OFFSET, (uint32_t)(program->ddr_base >> 32));
    put(array, tile, TRAJ_RING_NEXT_OFFSET, program->ring_next);
    put(array, tile, TRAJ_RING_PREV_OFFSET, program->ring_prev);
    put(array, tile, TRAJ_LOAD_COUNT_OFFSET, program->loads);
    put(array, tile, TRAJ_ARRIVAL_COUNT_OFFSET, program->arrivals);
    put(array, tile, TRAJ_WATCHDOG_OFFSET, program->watchdog);
    for (i = 0; i < TRAJECTILE_TILES; i++) {
        if (program->route[i] > TRAJ_PORT_LOCAL)
            return TRAJECTILE_RANGE;
        routes |= program->route[i] << (i % ROUTE_TILES) * ROUTE_BITS;
        if (i % ROUTE_TILES == ROUTE_TILES - 1 || i == TRAJECTILE_TILES - 1) {
            put(array, tile, TRAJ_ROUTE_0_OFFSET + i / ROUTE_TILES * 4, routes);
            routes = 0;
        }
    }
    point_at(array, tile, TRAJ_TABLE_RULES, 0, 0);
    for (i = 0; i < TRAJ_TABLE_RULES_DEPTH; i++)
        if (put_rule(array, tile, &program->rule[i]))
            return TRAJECTILE_RANGE;
    point_at(array, tile, TRAJ_TABLE_LOADS, 0, 0);
    for (i = 0; i < program->loads; i++)
        if (put_load(array, tile, &program->load[i]))
            return TRAJECTILE_RANGE;
    point_at(array, tile, TRAJ_TABLE_TOKENS, 0, 0);
    for (i = 0; i < program->passes; i++)
        if (put_pass(array, tile, &program->token[i * TRAJ_TABLE_TOKENS_ELEMENTS]))
            return TRAJECTILE_RANGE;
    put(array, tile, TRAJ_IRQ_ENABLE_OFFSET, TRAJ_IRQ_ENABLE_DONE_MASK | TRAJ_IRQ_ENABLE_ERROR_MASK);
    return taken(array, tile);
}

enum trajectile_status trajectile_put_token(const struct trajectile *array, uint32_t tile, uint32_t lane, uint32_t token,
                                            const int8_t *x, const uint8_t *shift)
{
    uint32_t words[TRAJ_TABLE_ACTIVATIONS_WORDS], chunk, part, j, i = 0;

    if (tile >= TRAJECTILE_TILES || lane >= TRAJ_TABLE_ACTIVATIONS_LANES || token >= LANE_TOKENS)
        return TRAJECTILE_RANGE;
    point_at(array, tile, TRAJ_TABLE_ACTIVATIONS, lane, token * TRAJ_GATE_UP_CHUNKS_VALUE_RESET);
    for (chunk = 0; chunk < TRAJ_GATE_UP_CHUNKS_VALUE_RESET; chunk++) {
        clear(words, TRAJ_TABLE_ACTIVATIONS_WORDS);
        for (part = 0; part < TRAJ_TABLE_ACTIVATIONS_ELEMENTS && i < TRAJECTILE_D_MODEL; part++) {
            const uint32_t low = part * TRAJ_TABLE_ACTIVATIONS_STRIDE_BITS;

            pack(words, low + TRAJ_ENTRY_ACTIVATIONS_SHIFT_LOW, TRAJ_ENTRY_ACTIVATIONS_SHIFT_WIDTH,
                 shift[i / TRAJECTILE_BLOCK_INPUTS]);
            for (j = 0; j < TRAJ_ENTRY_ACTIVATIONS_SHIFT_LOW / 8 && i < TRAJECTILE_D_MODEL; j++, i++)
                pack(words, low + 8 * j, 8, (uint8_t)x[i]);
        }
        put_entry(array, tile, words, TRAJ_TABLE_ACTIVATIONS_WORDS);
    }
    return taken(array, tile);
}

enum trajectile_status trajectile_start(const struct trajectile *array)
{
    put(array, 0, TRAJ_CONTROL_OFFSET, TRAJ_CONTROL_START_MASK);
    return taken(array, 0);
}

enum trajectile_status trajectile_poll(const struct trajectile *array)
{
    uint32_t tile, status, done = 0;

    for (tile = 0; tile < TRAJECTILE_TILES; tile++) {
        status = get(array, tile, TRAJ_STATUS_OFFSET);
        if (status & TRAJ_STATUS_FAILED_MASK)
            return TRAJECTILE_FAILED;
        done += (status & TRAJ_STATUS_DONE_MASK) != 0 && (status & TRAJ_STATUS_RUNNING_MASK) == 0;
    }
    return done == TRAJECTILE_TILES ? TRAJECTILE_OK : TRAJECTILE_RUNNING;
}

enum trajectile_status trajectile_wait(const struct trajectile *array, uint32_t polls)
{
    enum trajectile_status status;

    while (polls--)
        if ((status = trajectile_poll(array)) != TRAJECTILE_RUNNING)
            return status;
    return TRAJECTILE_TIMEOUT;
}

uint32_t trajectile_interrupt(const struct trajectile *array)
{
    uint32_t tile, own, causes = 0;

    for (tile = 0; tile < TRAJECTILE_TILES; tile++) {
        own = get(array, tile, TRAJ_IRQ_STATUS_OFFSET) & IRQ_CAUSES;
        if (own)
            put(array, tile, TRAJ_IRQ_STATUS_OFFSET, own);
        causes |= own;
    }
    return causes;
}

enum trajectile_status trajectile_get_token(const struct trajectile *array, uint32_t tile, uint32_t lane, uint32_t token,
                                            int32_t *y)
{
    uint32_t i;

    if (tile >= TRAJECTILE_TILES || lane >= TRAJ_TABLE_RESULTS_LANES || token >= LANE_TOKENS)
        return TRAJECTILE_RANGE;
    point_at(array, tile, TRAJ_TABLE_RESULTS, lane, token * TRAJ_RESULT_STRIDE_VALUE_RESET);
    for (i = 0; i < TRAJECTILE_D_MODEL; i++)
        y[i] = (int32_t)get(array, tile, TRAJ_TABLE_DATA_OFFSET);
    return taken(array, tile);
}

enum trajectile_status trajectile_get_clips(const struct trajectile *array, uint32_t tile, uint32_t lane, uint32_t token,
                                            uint32_t *clips)
{
    if (tile >= TRAJECTILE_TILES || lane >= TRAJ_TABLE_CLIPS_LANES || token >= LANE_TOKENS)
        return TRAJECTILE_RANGE;
    point_at(array, tile, TRAJ_TABLE_CLIPS, lane, token);
    *clips = get(array, tile, TRAJ_TABLE_DATA_OFFSET);
    return taken(array, tile);
}

uint32_t trajectile_error(const struct trajectile *array, uint32_t tile)
{
    return get(array, tile, TRAJ_ERROR_OFFSET);
}

uint32_t trajectile_refused(const struct trajectile *array, uint32_t tile)
{
    uint32_t refused = get(array, tile, TRAJ_REFUSED_OFFSET);

    put(array, tile, TRAJ_REFUSED_OFFSET, 0);
    return refused;
}

enum trajectile_status trajectile_reset(const struct trajectile *array, uint32_t polls)
{
    put(array, 0, TRAJ_CONTROL_OFFSET, TRAJ_CONTROL_RESET_MASK);
    while (polls--) /* every tile shows the same until the last is ready */
        if (!(get(array, 0, TRAJ_STATUS_OFFSET) & TRAJ_STATUS_RESETTING_MASK))
            return taken(array, 0);
    return TRAJECTILE_TIMEOUT;
}
