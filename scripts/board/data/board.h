/* What the parts of the firmware have in common: the system as the CPU sees it, and the UART. */
#ifndef FIRMWARE_BOARD_H
#define FIRMWARE_BOARD_H

#include <stdint.h>

#include "layout.h"
#include "trajectile_driver.h"

/* A register page of a tile. */
#define TILE(number) ((uintptr_t)BOARD_HOST_BASE + (number) * BOARD_HOST_STRIDE)
/* An address in the DRAM as the CPU sees it; tiles see it without the base. */
#define RAM(address) ((uintptr_t)BOARD_RAM_BASE + (uintptr_t)(address))
/* Blocks of a token's activations that have a shift of their own. */
#define SHIFTS ((TRAJECTILE_D_MODEL + TRAJECTILE_BLOCK_INPUTS - 1u) / TRAJECTILE_BLOCK_INPUTS)
/* Most looks at a completion record; each takes some dozens of cycles. */
#define LOOKS 10000000u

/* What is the same for all jobs of a tile. */
struct place {
    uint32_t ring_next, ring_prev, route[TRAJECTILE_TILES];
};

/* The UART, byte by byte. */
uint8_t get(void);
void put(uint8_t byte);

/* Cycles since the last call with 1, for measuring; wraps after 2^32. */
uint32_t cycles(int restart);

/* Make visible what tiles have written: the data cache is emptied. */
void look_again(void);

/* Probe and set every tile, or say what is wrong; 1 if all is well. Of a batch that takes more cycles nothing comes. */
int tiles_ready(const struct place *places, uint32_t watchdog);

/* Queue a batch in all tiles and say what has become of it; 1 if all is well. */
int batch_done(const struct trajectile_batch *batches);

/* The commands. */
int run_batches(void);
/* The toy model in the DRAM reads a prompt of so many bytes, which come by UART, and writes so many. */
int write_text(uint32_t length, uint32_t prompt);

#endif
