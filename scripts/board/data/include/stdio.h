/* What LiteDRAM's initialisation and this firmware print with: no C library is linked. */
#ifndef FIRMWARE_STDIO_H
#define FIRMWARE_STDIO_H

#include <stddef.h>

int printf(const char *format, ...);
int putchar(int c);
int puts(const char *text);

#endif
