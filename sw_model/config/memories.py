"""Values of ``[ddr]`` with which the timeline follows a controller of real memory: refresh and rows (docs/ddr.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from trajectile.sw_model.config.accelerator import Config


@dataclass(frozen=True, kw_only=True)
class MemoryTiming:
    """Refresh and rows of a memory, in cycles and beats of its controller.

    A refresh closes all rows, waits for tRP and tRFC, and opens them again. ``row_cycles`` is what a change of rows costs
    with so many ports: a port waits where its bursts change banks, and others go on meanwhile.
    """

    refresh_interval_cycles: int
    refresh_cycles: int
    row_beats: int
    #: by number of ports
    row_cycles: Mapping[int, int]


#: read off LiteDRAM's controller (docs/ddr.md, "What the model's numbers are")
MEMORIES = {
    "ddr4-2400": MemoryTiming(refresh_interval_cycles=2344, refresh_cycles=124, row_beats=128,
                              row_cycles={1: 10, 2: 3, 4: 0}),
    "ddr3-800": MemoryTiming(refresh_interval_cycles=782, refresh_cycles=28, row_beats=128, row_cycles={1: 8, 2: 3, 4: 1}),
    "lpddr-400": MemoryTiming(refresh_interval_cycles=782, refresh_cycles=18, row_beats=256,
                              row_cycles={1: 7, 2: 5, 4: 4}),
}


def with_memory(config: Config, name: str) -> Config:
    """A configuration whose timeline follows a controller of this memory (one of ``MEMORIES``); its hardware is the same."""
    memory = MEMORIES[name]
    ddr = replace(config.ddr, refresh_interval_cycles=memory.refresh_interval_cycles, refresh_cycles=memory.refresh_cycles,
                  row_beats=memory.row_beats, row_cycles=memory.row_cycles[config.ddr.ports])
    return replace(config, ddr=ddr)
