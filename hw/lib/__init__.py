"""What every block uses: SRAM and FIFO wrappers, and the way a block becomes a Verilog module."""
