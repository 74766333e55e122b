"""A system on a chip around the array for an FPGA board with DDR3: LiteX, LiteDRAM, a RISC-V, firmware (docs/soc.md)."""
