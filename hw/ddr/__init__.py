"""DDR: the AXI4 read manager that works off the load list."""
