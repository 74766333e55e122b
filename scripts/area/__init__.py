"""What a tile costs: technologies, SRAM macros, synthesis, speed, power."""
