"""A design on an FPGA: synthesis, place and route, bitstream, and what that says of resources and speed."""
