"""The io port: an AXI4 manager that reads and writes contiguous regions."""
