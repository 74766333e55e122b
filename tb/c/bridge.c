/* read32, write32 and relax of the C driver for Python: three functions that it sets. */
#include <stdint.h>

static uint32_t (*reader)(uintptr_t address);
static void (*writer)(uintptr_t address, uint32_t value);
static void (*waiter)(void);

void bridge(uint32_t (*read)(uintptr_t address), void (*write)(uintptr_t address, uint32_t value), void (*wait)(void))
{
    reader = read;
    writer = write;
    waiter = wait;
}

uint32_t read32(uintptr_t address)
{
    return reader(address);
}

void write32(uintptr_t address, uint32_t value)
{
    writer(address, value);
}

void relax(void)
{
    waiter();
}
