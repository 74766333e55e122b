/* Driver of a Trajectile array: queue a batch, wait for it. C99, no allocation, no library.
 *
 * Every tile has registers, where the host finds them, and memory for token records and results, which both reach. A batch is
 * queued in every tile, with the same tag, in the same order. Functions of different tiles may be called at the same time.
 * A driver is compiled for one configuration: the trajectile.h beside it. Memory is little endian. */
#ifndef TRAJECTILE_DRIVER_H
#define TRAJECTILE_DRIVER_H

#include <stdint.h>

#include "trajectile.h"

#define TRAJECTILE_TILES TRAJ_TILES_VALUE_RESET
#define TRAJECTILE_D_MODEL TRAJ_D_MODEL_VALUE_RESET
#define TRAJECTILE_TOP_K TRAJ_TOP_K_VALUE_RESET
/* inputs that share a shift */
#define TRAJECTILE_BLOCK_INPUTS 32u
/* bytes of memory for a number of tokens; addresses are multiples of TRAJ_IO_BEAT_BYTES_VALUE_RESET */
#define TRAJECTILE_RECORD_BYTES(tokens) ((tokens) * (TRAJ_HEAD_BYTES_VALUE_RESET + TRAJ_ROW_BYTES_VALUE_RESET))
#define TRAJECTILE_RESULT_BYTES(tokens, bf16) (TRAJ_COMPLETION_BYTES_VALUE_RESET \
    + (tokens) * ((bf16) ? TRAJ_RESULT_BYTES_BF16_VALUE_RESET : TRAJ_RESULT_BYTES_INT32_VALUE_RESET))

/* Supplied by the platform: one 32-bit access to a register, in program order with accesses to memory, not cached. An access
 * that the tile refuses is answered with SLVERR: it must not stop the program. relax is called between two looks at
 * memory: it makes visible what the tile has written since, and may wait for the interrupt. */
uint32_t read32(uintptr_t address);
void write32(uintptr_t address, uint32_t value);
void relax(void);

enum trajectile_status {
    TRAJECTILE_OK = 0,
    TRAJECTILE_FAILED,   /* the tile has failed: trajectile_error says why, trajectile_reset helps */
    TRAJECTILE_TIMEOUT,  /* not done within the given number of looks */
    TRAJECTILE_MISMATCH, /* no such tile here: identity, version or sizes differ from trajectile.h */
    TRAJECTILE_REFUSED   /* and more: the tile refused an access, for the reason TRAJ_REFUSAL_* that is added */
};

/* What a tile writes before the results when it is done with a batch: TRAJ_COMPLETION_*. Counters go on from batch to
 * batch, in the order of the registers from COUNT_DDR_BEAT on: a batch's share is the difference of two records. */
struct trajectile_completion {
    uint32_t state, errors, cycles, first_load, streaming, counter[9], unit, again;
};

/* What is the same for all batches of a tile. */
struct trajectile_settings {
    uint32_t ring_next, ring_prev;
    uint32_t route[TRAJECTILE_TILES];          /* TRAJ_PORT_* towards each tile */
    uint32_t watchdog;                         /* most cycles of a batch; 0: no limit */
    uint32_t read_page, read_pages;            /* what the io port may read and write, in pages of 4 KiB; */
    uint32_t write_page, write_pages, lock;    /* lock: nobody can change that before rst */
    uint32_t interrupts;                       /* TRAJ_IRQ_ENABLE_*_MASK */
};

/* What a tile does in a batch; the addresses are as it sees them. */
struct trajectile_batch {
    uint64_t layer, records, results;          /* layer: row 0 in the tile's DDR channel, a multiple of 4096 */
    volatile struct trajectile_completion *completion; /* results as the host sees it */
    uint32_t tokens, order, bf16, tag;         /* order, the same in all tiles: TRAJ_ORDER_* */
    uint32_t shared;                           /* the same in all tiles: 1: each holds the tokens of all (TRAJ_SHARES) */
};

/* See that a tile is there, has this number, and is built as trajectile.h says. */
enum trajectile_status trajectile_probe(uintptr_t tile, uint32_t number);

/* Write the settings of a tile. It must be idle. */
uint32_t trajectile_set(uintptr_t tile, const struct trajectile_settings *settings);

/* Queue a batch: OK, or TRAJECTILE_REFUSED + why, and the batch is not queued. Six accesses to registers. */
uint32_t trajectile_queue(uintptr_t tile, const struct trajectile_batch *batch);

/* Look so often whether a batch is done: OK (its record may name errors in token records), FAILED or TIMEOUT. No access to
 * registers. */
enum trajectile_status trajectile_wait(const struct trajectile_batch *batch, uint32_t looks);

/* Acknowledge a tile's interrupt; returns its causes, TRAJ_IRQ_STATUS_*_MASK. */
uint32_t trajectile_interrupt(uintptr_t tile);

/* Why a tile has failed: TRAJ_ERROR_*_MASK. */
uint32_t trajectile_error(uintptr_t tile);

/* CONTROL.RESET: end whatever is under way, in all tiles. Batches that were queued end with a completion record; settings
 * stay. */
enum trajectile_status trajectile_reset(uintptr_t tile, uint32_t looks);

/* Write a token into the records of so many: the exponent of its activations, an expert (or TRAJ_NO_EXPERT) and weight
 * for each choice, a shift of 0 to 3 for each TRAJECTILE_BLOCK_INPUTS activations, the activations (docs/numerics.md). */
void trajectile_put_token(uint8_t *records, uint32_t tokens, uint32_t token, int8_t exponent, const uint16_t *expert,
                          const uint16_t *weight, const uint8_t *shift, const int8_t *x);

/* Read a token's results: TRAJECTILE_D_MODEL int32, or float32 as bits; their unit (a result is int32 * 2^unit), and how often
 * a value of the token did not fit its format; 65535 stands for more too. */
void trajectile_get_token(const uint8_t *results, uint32_t bf16, uint32_t token, uint32_t *y, int32_t *unit, uint32_t *clips);

#endif
