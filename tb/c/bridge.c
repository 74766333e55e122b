/* read32 and write32 of the C driver for Python: two functions that it sets. */
#include <stdint.h>

static uint32_t (*reader)(uintptr_t address);
static void (*writer)(uintptr_t address, uint32_t value);

void bridge(uint32_t (*read)(uintptr_t address), void (*write)(uintptr_t address, uint32_t value))
{
    reader = read;
    writer = write;
}

uint32_t read32(uintptr_t address)
{
    return reader(address);
}

void write32(uintptr_t address, uint32_t value)
{
    writer(address, value);
}
