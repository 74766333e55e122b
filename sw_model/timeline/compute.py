"""When the MAC array reads which words of a slice (docs/architecture.md, "Compute time")."""

from functools import cache

from trajectile.sw_model import latencies
from trajectile.sw_model.config import Config


@cache
def compute_segments(config: Config, passes: int) -> tuple[tuple[int, int], ...]:
    """``(first cycle, words)`` of what is read one word per cycle, from the compute's start on: the slice's parameters, then
    gate-up and down of each pass.
    """
    cycle = latencies.compute_setup_cycles(config)
    segments = [(cycle, config.parameter_words)]
    gate_up_end = []
    down_end = -4
    conflicts = latencies.result_conflicts(config)
    cycle += config.parameter_words
    for step in range(passes + 1):
        if step < passes:
            segments.append((cycle, config.gate_up_words))
            cycle += config.gate_up_words
            gate_up_end.append(cycle - 1)
        if step > 0:
            cycle = max(cycle, gate_up_end[step - 1] + latencies.swiglu_drain_cycles(config))
            while cycle - down_end in conflicts:
                cycle += 1
            segments.append((cycle, config.down_words))
            cycle += config.down_words
            down_end = cycle - 1
    return tuple(segments)


def compute_cycles(config: Config, passes: int) -> int:
    """Cycles from a compute's start to its last weight address."""
    first, words = compute_segments(config, passes)[-1]
    return first + words - 1
