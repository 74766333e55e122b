"""Testbenches: cocotb drivers, monitors, scoreboards, memory models, and the runner of both simulators."""
