"""The way of a batch: from a gate trace to the schedule, the Verilog, the run and its verdict."""
