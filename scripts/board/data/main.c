/* Firmware of the system around the array: DRAM, then commands by UART (docs/soc.md).
 *
 *   w ADDRESS BYTES   the next bytes go to the DRAM; answered with their CRC-32
 *   r ADDRESS BYTES   bytes of the DRAM
 *   b                 the batches that the job in the DRAM describes
 *   t LENGTH BYTES    the toy model in the DRAM goes on with the next bytes; answered with so many
 *   h                 who is there
 *
 * Numbers are hexadecimal. Every command ends with a line that begins with "ok" or "failed". */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <generated/csr.h>
#include <generated/mem.h>
#include <liblitedram/sdram.h>
#include <system.h>

#include "board.h"

#define UART_RECEIVED 2u

void *memcpy(void *to, const void *from, size_t bytes)
{
    uint8_t *target = to;
    const uint8_t *source = from;

    while (bytes--)
        *target++ = *source++;
    return to;
}

void *memset(void *at, int value, size_t bytes)
{
    uint8_t *target = at;

    while (bytes--)
        *target++ = (uint8_t)value;
    return at;
}

uint8_t get(void)
{
    uint8_t byte;

    while (uart_rxempty_read())
        ;
    byte = (uint8_t)uart_rxtx_read();
    uart_ev_pending_write(UART_RECEIVED);
    return byte;
}

void put(uint8_t byte)
{
    while (uart_txfull_read())
        ;
    uart_rxtx_write(byte);
}

int putchar(int c)
{
    if (c == '\n')
        put('\r');
    put((uint8_t)c);
    return c;
}

int puts(const char *text)
{
    while (*text)
        putchar(*text++);
    return putchar('\n');
}

static void number(uint32_t value, uint32_t base, int width, char pad)
{
    char digits[11];
    int count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    for (; width > count; width--)
        putchar(pad);
    while (count)
        putchar(digits[--count]);
}

/* d, u, x, s, c with a width, with l or without. */
int printf(const char *format, ...)
{
    va_list values;

    va_start(values, format);
    for (; *format; format++) {
        char pad = ' ';
        int width = 0;

        if (*format != '%') {
            putchar(*format);
            continue;
        }
        if (*++format == '0')
            pad = *format++;
        for (; *format >= '0' && *format <= '9'; format++)
            width = 10 * width + *format - '0';
        while (*format == 'l')
            format++;
        if (*format == 'd') {
            const int32_t value = va_arg(values, int32_t);

            if (value < 0)
                putchar('-');
            number(value < 0 ? -(uint32_t)value : (uint32_t)value, 10, width, pad);
        } else if (*format == 'u') {
            number(va_arg(values, uint32_t), 10, width, pad);
        } else if (*format == 'x' || *format == 'p') {
            number(va_arg(values, uint32_t), 16, width, pad);
        } else if (*format == 's') {
            for (const char *text = va_arg(values, const char *); *text; text++)
                putchar(*text);
        } else {
            putchar(*format == 'c' ? va_arg(values, int) : *format);
        }
    }
    va_end(values);
    return 0;
}

void trap(uint32_t cause, uint32_t at)
{
    printf("failed: trap %x at %x\n", cause, at);
    for (;;)
        ;
}

/* LiteDRAM's tests use a cache above the CPU's, which is not there. */
void flush_l2_cache(void)
{
}

void look_again(void)
{
    flush_cpu_dcache();
}

uint32_t cycles(int restart)
{
    if (restart) {
        timer0_en_write(0);
        timer0_reload_write(0xFFFFFFFF);
        timer0_load_write(0xFFFFFFFF);
        timer0_en_write(1);
    }
    timer0_update_value_write(1);
    return 0xFFFFFFFF - timer0_value_read();
}

/* What the driver wants of the platform. */
uint32_t read32(uintptr_t address)
{
    return *(volatile uint32_t *)address;
}

void write32(uintptr_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

void relax(void)
{
    look_again();
}

static uint32_t crc32(const volatile uint8_t *bytes, uint32_t count)
{
    uint32_t crc = 0xFFFFFFFF;

    while (count--) {
        crc ^= *bytes++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

/* The next number of a command line; its end is a blank or the end of the line. */
static uint32_t argument(void)
{
    uint32_t value = 0;

    for (;;) {
        const uint8_t c = get();

        if (c >= '0' && c <= '9')
            value = value << 4 | (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint32_t)(c - 'a' + 10);
        else
            return value;
    }
}

static int access_memory(int writes)
{
    const uint32_t address = argument(), count = argument();
    volatile uint8_t *const bytes = (volatile uint8_t *)RAM(address);
    uint32_t i;

    if (address > MAIN_RAM_SIZE || count > MAIN_RAM_SIZE - address)
        return 0;
    look_again();
    for (i = 0; i < count; i++) {
        if (writes)
            bytes[i] = get();
        else
            put(bytes[i]);
    }
    look_again();
    printf("crc %08x\n", crc32(bytes, count));
    return 1;
}

static int text(void)
{
    const uint32_t length = argument(), prompt = argument();

    return write_text(length, prompt);
}

int main(void)
{
    int good = sdram_init();

    printf("Trajectile: %u tiles, layers of %u x %u, %u experts\n", TRAJECTILE_TILES, TRAJECTILE_D_MODEL,
           TRAJ_D_FF_VALUE_RESET, TRAJ_EXPERTS_VALUE_RESET);
    for (;;) {
        puts(good ? "ok" : "failed");
        switch (get()) {
        case 'w':
            get();
            good = access_memory(1);
            break;
        case 'r':
            get();
            good = access_memory(0);
            break;
        case 'b':
            get();
            good = run_batches();
            break;
        case 't':
            get();
            good = text();
            break;
        case 'h':
            get();
            good = 1;
            break;
        default:
            good = 0;
            break;
        }
    }
}
