/* Driver of a Trajectile array: programs a batch, starts it, reads its results. C99, no allocation, no library.
 *
 * The platform supplies read32 and write32, and calls from one thread of control at a time. What a batch consists of
 * (rule entries, load lists, token lists) comes from a scheduler; docs/integration.md has the sequence.
 * A driver is compiled for one configuration: the trajectile.h beside it. */
#ifndef TRAJECTILE_DRIVER_H
#define TRAJECTILE_DRIVER_H

#include <stdint.h>

#include "trajectile.h"

#define TRAJECTILE_TILES TRAJ_TILES_VALUE_RESET
#define TRAJECTILE_D_MODEL TRAJ_D_MODEL_VALUE_RESET
/* inputs that share a shift */
#define TRAJECTILE_BLOCK_INPUTS 32u

/* Supplied by the platform: one 32-bit access each, in program order, not cached. An access that the tile refuses is
 * answered with SLVERR: it must not stop the program. What was refused is read from the tile afterwards. */
uint32_t read32(uintptr_t address);
void write32(uintptr_t address, uint32_t value);

enum trajectile_status {
    TRAJECTILE_OK = 0,
    TRAJECTILE_RUNNING,  /* not every tile has finished yet */
    TRAJECTILE_FAILED,   /* a tile has failed: trajectile_error says why, trajectile_reset helps */
    TRAJECTILE_REFUSED,  /* a tile refused an access: trajectile_refused says which and why, and forgets it */
    TRAJECTILE_TIMEOUT,  /* the array did not get ready within the given number of polls */
    TRAJECTILE_RANGE,    /* a number is too large for its field, or a place does not exist; nothing more was written */
    TRAJECTILE_MISMATCH  /* no such array here: identity, version or sizes differ from trajectile.h */
};

/* Where the tiles are: the registers of tile t begin at base + t * stride. */
struct trajectile {
    uintptr_t base, stride;
};

/* Rule entry of an expert at this tile; has the tile tokens for it, has the ring-next tile, which passes. */
struct trajectile_rule {
    uint32_t here, next, first, passes;
};

/* Entry of the load list: a slice in the tile's DDR channel, and where it goes from here. */
struct trajectile_load {
    uint32_t expert, index, row, here, next, left;
};

/* One lane's part of a pass: a token, the weight of its choice, the exponent of its activations (docs/numerics.md has the
 * formats); all 0 if the lane has no token in it. */
struct trajectile_token {
    uint32_t valid, token, weight;
    int32_t exponent;
};

/* What one tile is told before a batch. */
struct trajectile_program {
    uint64_t ddr_base;                      /* byte address of row 0 in the tile's DDR channel, a multiple of 4096 */
    uint32_t ring_next, ring_prev, arrivals;
    uint32_t watchdog;                      /* most cycles of the batch; 0: no limit */
    uint32_t route[TRAJECTILE_TILES];       /* TRAJ_PORT_* towards each tile */
    uint32_t loads, passes;                 /* entries of the two lists */
    const struct trajectile_rule *rule;     /* TRAJ_TABLE_RULES_DEPTH entries */
    const struct trajectile_load *load;     /* loads entries */
    const struct trajectile_token *token;   /* passes * TRAJ_TABLE_TOKENS_ELEMENTS, the lanes of a pass side by side */
};

/* See that the tiles are there, numbered in order, and built as trajectile.h says. */
enum trajectile_status trajectile_probe(const struct trajectile *array);

/* Write settings and tables of a tile, and enable its interrupt for the end of a batch, good or bad. */
enum trajectile_status trajectile_program(const struct trajectile *array, uint32_t tile,
                                          const struct trajectile_program *program);

/* Write a token's activations to its place: TRAJECTILE_D_MODEL int8, and a shift of 0 to 3 for each
 * TRAJECTILE_BLOCK_INPUTS of them. Their exponent is in the token lists. */
enum trajectile_status trajectile_put_token(const struct trajectile *array, uint32_t tile, uint32_t lane, uint32_t token,
                                            const int8_t *x, const uint8_t *shift);

/* Start the batch in all tiles. */
enum trajectile_status trajectile_start(const struct trajectile *array);

/* How the batch stands. Does not wait: for interrupt handlers. */
enum trajectile_status trajectile_poll(const struct trajectile *array);

/* Poll until the batch has ended, at most so often. */
enum trajectile_status trajectile_wait(const struct trajectile *array, uint32_t polls);

/* Acknowledge the interrupts of all tiles; returns their causes, TRAJ_IRQ_STATUS_*_MASK. */
uint32_t trajectile_interrupt(const struct trajectile *array);

/* Read a token's results, TRAJECTILE_D_MODEL int32, from its place. */
enum trajectile_status trajectile_get_token(const struct trajectile *array, uint32_t tile, uint32_t lane, uint32_t token,
                                            int32_t *y);

/* Read a token's count of clips: how often a value of it did not fit its format in this batch; 65535 stands for more too. */
enum trajectile_status trajectile_get_clips(const struct trajectile *array, uint32_t tile, uint32_t lane, uint32_t token,
                                            uint32_t *clips);

/* Why a tile has failed: TRAJ_ERROR_*_MASK. */
uint32_t trajectile_error(const struct trajectile *array, uint32_t tile);

/* The last refused access of a tile: the REFUSED register, 0 if there was none. Clears it; until then every function
 * that writes to this tile returns TRAJECTILE_REFUSED. */
uint32_t trajectile_refused(const struct trajectile *array, uint32_t tile);

/* CONTROL.RESET: end whatever is under way, in all tiles. Programs stay; after ERROR.MEMORY put the tokens again. */
enum trajectile_status trajectile_reset(const struct trajectile *array, uint32_t polls);

#endif
