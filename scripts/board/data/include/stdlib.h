/* Named by LiteDRAM's initialisation, which uses nothing of it here. */
#include <stddef.h>
