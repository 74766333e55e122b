"""DDR: the AXI4 read manager that fetches slices."""
