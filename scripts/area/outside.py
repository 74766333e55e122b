"""Energies of what is no part of a tile, and where they are from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outside:
    """Picojoules of a bit that goes over a link, or that comes from DRAM."""

    #: UCIe in a standard package up to 16 GT/s; 0.25 in an advanced one (D. Das Sharma, IEEE Hot Interconnects 2025)
    d2d_pj_per_bit: float = 0.5
    #: of DRAM; 0: not counted
    ddr_pj_per_bit: float = 0.0
