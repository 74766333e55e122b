"""What ``trajectile generate`` writes beside the Verilog, for whoever puts a tile into a chip (docs/integration.md)."""
