"""One timing contract: every block of a generated array states its latency, its docstring states the same, and it is the
one that the golden model relies on.

The tests beside each block measure what is only compared here.
"""

import ast
import re
from functools import cache

import pytest

from tests.support.block_kinds import blocks_of
from tests.support.configurations import random_config, small
from tests.support.paths import ROOT
from trajectile.hw.array import TileArray
from trajectile.hw.d2d.layouts import RECORD_CREDITS
from trajectile.hw.lib.block import Block
from trajectile.sw_model import latencies
from trajectile.sw_model.config import load

#: with and without link layer, protection, payload, tiles to pass over; segments of one word; random ones with odd sizes
CONFIGS = {
    "smoke": (load("smoke"), False),
    "timing only": (load("smoke"), True),
    "all parts": (small(array__cols=3, link__crc_bits=32, link__latency_cycles=5, tile__protect="secded"), False),
    "one word": (small(layer__d_model=2, layer__d_ff=3, tile__mac_k=2, tile__mac_n=2, tile__protect="parity",
                       link__beat_bytes=4), False),
    "conflicts": (small(layer__d_model=9, layer__d_ff=9, tile__slices=9, tile__mac_k=4, tile__mac_n=6, tile__mac_t=1), False),
    "bias": (small(layer__bias=True), False),
    "registered products": (small(tile__register_products=True), False),
    "registered starts": (small(tile__register_starts=True, tile__batches=2), False),
    "registered operands": (small(tile__register_operands=True, tile__register_products=True), False),
    "registered slots": (small(tile__register_slots=True, tile__register_flits=True, tile__protect="secded"), False),
    "dies": (small(link__crc_bits=16, array__clocks="independent"), False),
    "tokens travel": (small(array__dataflows="both"), False),
    "several DDR ports": (small(ddr__ports=2), False),
    **{f"random {seed}": (random_config(seed), False) for seed in (1, 2, 3)},
}


@cache
def blocks(name: str) -> dict[str, Block]:
    """Every kind of block of an array, by class name."""
    config, timing_only = CONFIGS[name]
    return blocks_of(TileArray(config, timing_only=timing_only))


def stated(block: Block) -> dict[str, int]:
    """The cycles that a block states, of all its kind or of this one, by name."""
    return {name: value for names in (vars(type(block)), vars(block)) for name, value in names.items()
            if name.endswith("_cycles") and not name.startswith("_")}


def missing(block: Block) -> list[str]:
    """What is wrong with what a block states."""
    cycles, text = stated(block), type(block).__doc__ or ""
    wrong = [f"{name} is not a number of cycles" for name, value in cycles.items() if not isinstance(value, int) or value < 0]
    if "latency_cycles" not in cycles:
        wrong.append("no latency_cycles")
    if "Latency:" not in text:
        wrong.append("no latency in the docstring")
    wrong += [f"the docstring does not name {name}" for name in cycles if f"``{name}``" not in text]
    wrong += [f"the docstring says {name} = {number}" for name, number in re.findall(r"``(\w+_cycles)``\s+=\s+(\d+)", text)
              if cycles.get(name) != int(number)]
    return wrong


@pytest.mark.parametrize("name", CONFIGS)
def test_every_block_states_its_latency(name):
    """In an attribute and in its docstring, which is a comment in the Verilog."""
    assert {kind: wrong for kind, block in blocks(name).items() if (wrong := missing(block))} == {}


def test_all_blocks_are_seen():
    """Every block that a file of ``hw`` defines is in one of the arrays."""
    seen = {type(block).__module__ for name in CONFIGS for block in blocks(name).values()}
    defined = {".".join(("trajectile", *path.relative_to(ROOT).with_suffix("").parts)) for path in (ROOT / "hw").rglob("*.py")
               if re.search(r"^class \w+\((Block|CreditFifo)\)", path.read_text("utf-8"), re.M)}
    assert defined == seen


def test_what_is_missing_is_found():
    """A block without latency, one that says nothing of it, one whose docstring is wrong."""
    class Silent(Block):
        """A block."""

        def __init__(self):
            super().__init__({})
            self._MustUse__silence = True

    class Wrong(Silent):
        """A block. Latency: ``latency_cycles`` = 2."""

        latency_cycles = 3
        drain_cycles = 4

    assert missing(Silent()) == ["no latency_cycles", "no latency in the docstring"]
    assert missing(Wrong()) == ["the docstring does not name drain_cycles", "the docstring says latency_cycles = 2"]


@pytest.mark.parametrize("name", CONFIGS)
def test_blocks_and_contract_agree(name):
    """What each block states is what the golden model computes with."""
    config, timing_only = CONFIGS[name]
    of = blocks(name)
    pairs = {
        "STATE_CYCLES": (of["SlotTable"].latency_cycles, latencies.STATE_CYCLES),
        "ADDRESS_CYCLES": (of["DdrLoader"].latency_cycles, latencies.ADDRESS_CYCLES),
        "LOADED_CYCLES": (of["DdrLoader"].write_cycles, latencies.LOADED_CYCLES),
        "LOAD_TURN_CYCLES": (of["DdrLoader"].turn_cycles, latencies.LOAD_TURN_CYCLES),
        "CONTROL_CYCLES": (of["Router"].control_cycles, latencies.CONTROL_CYCLES),
        "ROUTER_CYCLES of slices": (of["Router"].latency_cycles, latencies.ROUTER_CYCLES),
        "ROUTER_CYCLES of requests": (of["RuleEngine"].latency_cycles, latencies.ROUTER_CYCLES),
        "CREDIT_CYCLES": (of["Router"].credit_cycles, latencies.CREDIT_CYCLES),
        "payload_cycles": (of["SliceSender"].latency_cycles, latencies.payload_cycles(config)),
        "flit_cycles": (of["SliceSender"].flit_cycles, latencies.flit_cycles(config)),
        "WRITTEN_CYCLES": (of["SliceReceiver"].latency_cycles, latencies.WRITTEN_CYCLES),
        "compute_setup_cycles": (of["ComputeUnit"].latency_cycles, latencies.compute_setup_cycles(config)),
        "compute_drain_cycles": (of["ComputeUnit"].drain_cycles, latencies.compute_drain_cycles(config)),
        "swiglu_drain_cycles": (of["MacSequencer"].swiglu_cycles, latencies.swiglu_drain_cycles(config)),
        "compute_early_cycles": (of["MacSequencer"].early_cycles, latencies.compute_early_cycles(config)),
        "result_conflicts": (of["MacSequencer"].conflicts, latencies.result_conflicts(config)),
        "HOST_CYCLES": (of["HostPort"].latency_cycles, latencies.HOST_CYCLES),
        "OTHER_ACCESS_CYCLES": (of["HostPort"].other_access_cycles, latencies.OTHER_ACCESS_CYCLES),
        "COUNTER_CYCLES": (of["HostPort"].counter_cycles, latencies.COUNTER_CYCLES),
        "QUEUE_CYCLES": (of["BatchQueue"].latency_cycles, latencies.QUEUE_CYCLES),
        "PHASE_CYCLES": (of["BatchControl"].latency_cycles, latencies.PHASE_CYCLES),
        "RECORD_ADDRESS_CYCLES": (of["RecordReader"].latency_cycles, latencies.RECORD_ADDRESS_CYCLES),
        "ITEM_CYCLES": (of["RecordReader"].item_cycles, latencies.ITEM_CYCLES),
        "ITEM_PLACES": (of["RecordReader"].item_places, latencies.ITEM_PLACES),
        "CHOICE_CYCLES": (of["RecordParser"].choice_cycles, latencies.CHOICE_CYCLES),
        "EXCHANGE_HEADER_CYCLES": (of["CountExchange"].latency_cycles, latencies.EXCHANGE_HEADER_CYCLES),
        "EXCHANGE_COUNTS_CYCLES": (of["CountExchange"].read_cycles, latencies.EXCHANGE_COUNTS_CYCLES),
        "COUNT_AGAIN_CYCLES": (of["CountExchange"].refill_cycles, latencies.COUNT_AGAIN_CYCLES),
        "FORMED_CYCLES": (of["CountExchange"].report_cycles, latencies.FORMED_CYCLES),
        "ROUTER_CYCLES of counts": (of["CountExchange"].held_cycles, latencies.ROUTER_CYCLES),
        "PICK_CYCLES": (of["ExpertOrder"].latency_cycles, latencies.PICK_CYCLES),
        "PICK_AGAIN_CYCLES": (of["ExpertOrder"].scan_cycles, latencies.PICK_AGAIN_CYCLES),
        "NOTHING_MADE_CYCLES": (of["ExpertOrder"].nothing_cycles, latencies.NOTHING_MADE_CYCLES),
        "MAKE_CYCLES": (of["LoadMaker"].latency_cycles, latencies.MAKE_CYCLES),
        "ENTRY_CYCLES": (of["LoadMaker"].entry_cycles, latencies.ENTRY_CYCLES),
        "RESULT_ADDRESS_CYCLES": (of["ResultWriter"].latency_cycles + of["IoWriter"].latency_cycles,
                                  latencies.RESULT_ADDRESS_CYCLES),
        "RESULT_PIECE_CYCLES": (of["ResultPieces"].latency_cycles,
                                latencies.RESULT_ADDRESS_CYCLES + latencies.RESULT_PIECE_CYCLES),
        "CONVERT_CYCLES": (of["ResultPieces"].convert_cycles, latencies.CONVERT_CYCLES),
        "ANSWERED_CYCLES": (of["ResultWriter"].answer_cycles, latencies.ANSWERED_CYCLES),
        "link.latency_cycles": (of["D2DLink"].latency_cycles, config.link.latency_cycles),
    }
    if "RecordRing" in of:
        pairs["SECTION_CYCLES"] = (of["RecordParser"].section_cycles, latencies.SECTION_CYCLES)
    if "RecordPort" in of:
        pairs["RECORD_OUT_CYCLES"] = (of["RecordPort"].out_cycles, latencies.RECORD_OUT_CYCLES)
        pairs["RECORD_QUEUE_CYCLES"] = (of["RecordPort"].latency_cycles, latencies.RECORD_QUEUE_CYCLES)
        pairs["STATE_CYCLES of credits"] = (of["RecordPort"].credit_cycles, latencies.STATE_CYCLES)
        pairs["RECORD_PLACES"] = (of["RecordPort"].out_places, latencies.RECORD_PLACES)
        pairs["RECORD_CREDITS"] = (RECORD_CREDITS, latencies.RECORD_CREDITS)
    if "RingReduction" in of:
        pairs["PERMIT_CYCLES"] = (of["RingReduction"].latency_cycles, latencies.PERMIT_CYCLES)
        pairs["SUM_CYCLES"] = (of["RingReduction"].sum_cycles, latencies.SUM_CYCLES)
        pairs["SUM_OUT_CYCLES"] = (of["RingReduction"].send_cycles, latencies.SUM_OUT_CYCLES)
        pairs["SUMMED_CYCLES"] = (of["RingReduction"].summed_cycles, latencies.SUMMED_CYCLES)
    if "CreditFifo" in of:
        pairs["ROUTER_CYCLES of what passes"] = (of["CreditFifo"].latency_cycles, latencies.ROUTER_CYCLES)
    if "LinkLayer" in of:
        pairs["LINK_LAYER_CYCLES"] = (of["LinkLayer"].latency_cycles, latencies.LINK_LAYER_CYCLES)
        pairs["replay_cycles"] = (of["LinkLayer"].replay_cycles, latencies.replay_cycles(config))
    if "Crossing" in of:
        pairs["CROSSING_CYCLES"] = (of["Crossing"].latency_cycles, latencies.CROSSING_CYCLES)
        pairs["DRIFT_CYCLES"] = (of["Crossing"].drift_cycles, latencies.DRIFT_CYCLES)
    if not timing_only:
        pairs["RESULT_WRITE_CYCLES"] = (of["LaneMemory"].result_late_cycles,
                                        latencies.RESULT_WRITE_CYCLES)
        slot_cycles = latencies.SLOT_CYCLES if config.tile.register_slots else 0
        pairs["FLAG_CYCLES of slots"] = (of["ExpertBuffer"].flag_cycles, latencies.FLAG_CYCLES + slot_cycles)
        pairs["FLAG_CYCLES of tokens"] = (of["LaneMemory"].flag_cycles, latencies.FLAG_CYCLES)
    assert {what: pair for what, pair in pairs.items() if pair[0] != pair[1]} == {}


def test_the_contract_is_complete():
    """Every name of the contract is compared above, or made of names that are."""
    made = {"LOAD_AHEAD_CYCLES", "REPLAY_CYCLES", "SWIGLU_DRAIN_CYCLES", "COMPUTE_DRAIN_CYCLES", "COMPUTE_EARLY_CYCLES",
            "COMPUTE_SETUP_CYCLES", "START_CYCLES", "start_cycles",
            "EXPONENT_CYCLES", "OPERAND_CYCLES", "PRODUCT_CYCLES", "SLOT_CYCLES", "WORD_QUEUE_CYCLES", "FLIT_CYCLES",
            "PAYLOAD_CYCLES", "register_cycles",
            *(f"{what}_CYCLES" for what in ("QUEUE_ROOM", "SWEEP", "NO_RECORDS", "IO_AGAIN", "MAKE_AGAIN", "ENTRY_ROOM")),
            "hop_cycles", "header_cycles", "control_cycles", "tail_cycles"}
    names = {name for name in vars(latencies) if re.search(r"_cycles$|_CYCLES$|conflicts$", name)}
    source = (ROOT / "tests/hw/test_timing_contract.py").read_text("utf-8")
    compared = {name for name in names if re.search(rf"\blatencies\.{name}\b", source)}
    assert names == compared | made


def test_hw_takes_no_number_from_the_golden_model():
    """Only the configuration and the ring; a constant that both sides share could be wrong and never be found."""
    found = set()
    for path in (ROOT / "hw").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trajectile.sw_model"):
                found |= {(path.name, node.module, alias.name) for alias in node.names}
    modules = {"trajectile.sw_model.config", "trajectile.sw_model.config.topology"}
    assert {item for item in found if item[1] not in modules or item[2].endswith("_CYCLES")} == set()
