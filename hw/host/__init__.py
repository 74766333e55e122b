"""Host port: AXI4-Lite, registers, table memories."""
