"""The accelerator in Amaranth: what becomes silicon."""
