"""Ways from one clock to another in the Verilog: all of the array's are legal, and ways that are not are found."""

import re

import pytest

from tests.support.configurations import TINY, small
from trajectile.hw.design import Design, design
from trajectile.hw.params import Params
from trajectile.scripts.maintain.cdc import check, flat
from trajectile.sw_model.config.topology import links


@pytest.fixture(scope="module")
def made() -> Design:
    """A small array of dies."""
    return design(small(**TINY | {"array__cols": 3, "array__ddr_tiles": (0, 2), "link__crc_bits": 16,
                                  "array__clocks": "independent"}), timing_only=True)


def test_the_array(made):
    """Every bit that crosses is known: pointers both ways, the words, the resets of the sender's sides."""
    report = check(flat(made.modules, made.top))
    assert report.wrong == [] and report.clocks >= made.config.array.tiles
    wires, bits = len(links(made.config.array)), Params(made.config, timing_only=True).frame_bits
    assert report.ways["memory"] == wires * bits
    assert report.ways["synchroniser"] >= wires * 8 and report.ways["reset synchroniser"] >= wires * 2


#: a pattern in the crossing, and what stands there instead
WRONG = {
    "around the FIFO": (r"assign frame = [^;]+;", "assign frame = come;"),
    "logic before a synchroniser": (r"\.written_gray\(written_gray\)", ".written_gray(written_gray & {4{shown}})"),
    "a single flip-flop": (r"_2 += stage0;", "_2 = written_gray;"),
    "a read where the sender says": (r"memory\[taken ?\[2:0\]\]", "memory[written[2:0]]"),
    "a reset that is not synchronised": (r"\.async_ff_rst\(held\)", ".async_ff_rst(shown ^ held)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found(name, made):
    """A way around, and each rule broken: in one port, or in the array where the frame's own clock has to be seen."""
    module = "trajectile_crossing"
    top = made.top if name == "around the FIFO" else "trajectile_link_layer"
    text, count = re.subn(*WRONG[name], made.modules[module])
    assert count == 1
    assert check(flat(made.modules | {module: text}, top)).wrong
