"""Energies of what is no part of a tile, and where they are from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outside:
    """Picojoules of a bit that goes over a link, or that comes from DRAM."""

    #: UCIe in a standard package up to 16 GT/s; 0.25 in an advanced one (D. Das Sharma, IEEE Hot Interconnects 2025)
    d2d_pj_per_bit: float = 0.5
    #: of DRAM; 0: not counted
    ddr_pj_per_bit: float = 0.0

    def of_bits(self, links: float, dram: float) -> dict[str, float]:
        """Picojoules of so many bits, by part."""
        return {"D2D links": links * self.d2d_pj_per_bit, "DDR": dram * self.ddr_pj_per_bit}


#: Picojoules of a bit from an HBM2 stack, I/O included (M. O'Connor et al., Fine-Grained DRAM, MICRO 2017), rounded; DRAM on
#: a board takes more
HBM2_PJ_PER_BIT = 3.9
