"""Host port: AXI4-Lite, registers, doorbell."""
