"""How long the MAC array takes for a slice (docs/architecture.md, "Compute time")."""

from functools import cache

from trajectile.sw_model import latencies
from trajectile.sw_model.config import Config


@cache
def compute_cycles(config: Config, passes: int) -> int:
    """Cycles from a compute's start to its last weight address."""
    gate_up_end = []
    down_end = -4
    conflicts = latencies.result_conflicts(config)
    cycle = latencies.COMPUTE_SETUP_CYCLES + config.parameter_words
    for step in range(passes + 1):
        if step < passes:
            cycle += config.gate_up_words
            gate_up_end.append(cycle - 1)
        if step > 0:
            cycle = max(cycle, gate_up_end[step - 1] + latencies.swiglu_drain_cycles(config))
            while cycle - down_end in conflicts:
                cycle += 1
            cycle += config.down_words
            down_end = cycle - 1
    return cycle - 1
