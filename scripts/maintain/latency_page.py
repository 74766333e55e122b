"""The table of latencies in docs/architecture.md, from the timing contract (:mod:`trajectile.sw_model.latencies`).

``python -m trajectile.scripts.maintain.latency_page`` writes it.
"""

from collections.abc import Iterator

from trajectile.scripts.maintain import pages
from trajectile.scripts.report.markdown import table_rows
from trajectile.sw_model import latencies as t

PAGE, PART = "architecture.md", "latencies"


def at(event: str, cycles: int) -> str:
    """So many cycles after the cycle that a letter stands for."""
    return event + (f"+{cycles}" if cycles else "")


def _control() -> str:
    return at("c", t.CONTROL_CYCLES) + f"+H(L+{t.ROUTER_CYCLES})"


def _rows() -> Iterator[tuple[object, ...]]:
    way = f"+H(L+{t.ROUTER_CYCLES})"
    loaded, written = t.LOADED_CYCLES, t.PAYLOAD_CYCLES + t.WRITTEN_CYCLES
    control = _control()
    yield "load fires at c", "first AR valid", (f"{at('c', t.ADDRESS_CYCLES)}, one burst per cycle, next load from "
                                                f"{at('c', t.ADDRESS_CYCLES)}+bursts")
    yield "AR accepted at a", "first R beat valid", "a + DDR latency, or the cycle after the previous slice's last beat"
    yield "last beat at d", "slot `filled`", f"{at('d', loaded + t.STATE_CYCLES)} (and one load less in flight)"
    yield "request fires at c", "request pending at the ring-next tile", control
    yield "grant fires at c", "granted at the ring-previous tile", control
    yield "send fires at c", "header on the link", (
        f"c, payload flit j at {at('c', t.PAYLOAD_CYCLES)}+j (the slot's SRAM is read in between), tail at "
        f"{at('c', t.PAYLOAD_CYCLES - 1)}+F; payload, and what follows it in the rows below, "
        f"{t.SLOT_CYCLES + t.WORD_QUEUE_CYCLES} later with `tile.register_slots`; all flits {t.FLIT_CYCLES} later with "
        "`tile.register_flits`, but the sender is idle in the same cycle")
    yield "", "header at the ring-next receiver", f"c{way} = h"
    yield "", "sender idle, slot no longer `sending`", f"{at('c', t.PAYLOAD_CYCLES - 1 + t.STATE_CYCLES)}+F"
    yield "header at the receiver at h", "payload flit j there, written and copied", f"{at('h', written)}+j"
    yield "", "slot `filled` there", f"{at('h', written - 1 + t.STATE_CYCLES)}+F"
    yield "flit goes at c", "its credit can be spent again", f"{at('c', t.CREDIT_CYCLES)}+2L, if it leaves the router at once"
    yield ("compute fires at c", "address of the slice's first word, its parameters",
           f"{at('c', t.COMPUTE_SETUP_CYCLES)}, one per cycle; {t.START_CYCLES} later with `tile.register_starts`")
    yield "last weight word's address at e", "slot no longer `computing`", at("e", t.STATE_CYCLES)
    yield "", "results and counts of clips written, compute unit drained", (
        f"{at('e', t.COMPUTE_DRAIN_CYCLES)}, {t.OPERAND_CYCLES} later with `tile.register_operands`, {t.PRODUCT_CYCLES} with "
        f"`tile.register_products`, {t.SLOT_CYCLES} with `tile.register_slots`")
    yield "", "sequencer ready again", (
        f"e - min({t.COMPUTE_EARLY_CYCLES}, `down_words` - 1), with `tile.register_starts` "
        f"e - min({t.COMPUTE_EARLY_CYCLES + t.START_CYCLES}, `down_words` - 1), so that the next slice's first word may "
        "follow at " + at("e", t.COMPUTE_SETUP_CYCLES - t.COMPUTE_EARLY_CYCLES))
    yield from _forming()
    yield "request of the host accepted at c", "its response", (
        f"{at('c', t.HOST_CYCLES)}; up to {t.OTHER_ACCESS_CYCLES} cycles later if an access of the other channel goes first")
    yield "strobe of a counter at c", "it shows in the counter", at("c", t.COUNTER_CYCLES)
    yield ("a protected SRAM is read at r", "error MEMORY or the count of a correction at the host port",
           at("r", t.FLAG_CYCLES))


def _forming() -> Iterator[tuple[object, ...]]:
    """From the doorbell to the loads, and from the last release to the completion record."""
    yield "doorbell at c", "begin: the batch leaves the queue", f"{at('c', t.QUEUE_CYCLES)}, if it may"
    yield ("a phase of a batch ends at c", "its next phase, or the same phase of a batch that waited for it",
           at("c", t.PHASE_CYCLES))
    yield "begin at c", "first AR valid on the io port", (
        f"{at('c', t.RECORD_ADDRESS_CYCLES)}, one burst per cycle up to {t.IO_BURSTS}")
    yield "beat of a head of a record taken at c", "all its choices in their lists", (
        f"{at('c', t.ITEM_CYCLES + t.EXPONENT_CYCLES - 1)}+{t.CHOICE_CYCLES} `top_k`, one head after the other; "
        f"{t.ITEM_PLACES} beats are taken ahead")
    yield "exchange of counts starts at c", "order and tag may go to the ring-next tile", (
        f"{at('c', t.EXCHANGE_HEADER_CYCLES)}, the first counts {t.EXCHANGE_COUNTS_CYCLES} cycles later, or "
        f"{t.COUNT_AGAIN_CYCLES} after these went")
    yield ("a word of counts goes at c", "it goes on from the ring-next tile",
           f"{_control()}; own words go in other cycles, {t.COUNT_AGAIN_CYCLES} cycles apart or more")
    yield "last word of all tiles kept at c", "formed", at("c", t.FORMED_CYCLES)
    yield "formed at c", "first expert looked at", "c+`count_words`, one per cycle"
    yield "first expert looked at in c", "pick", (
        f"{at('c', t.PICK_CYCLES)}+`experts`; from its being taken the next look begins {t.PICK_AGAIN_CYCLES} cycle later")
    yield "pick taken at c", "its slice i looked at", (
        f"{at('c', t.MAKE_CYCLES)}+i, later if {t.LOAD_ENTRIES} load entries wait; the entry is there {t.ENTRY_CYCLES} cycle "
        "later")
    first = at("c", t.RESULT_ADDRESS_CYCLES + t.RESULT_PIECE_CYCLES)
    yield "result writer starts at c", "first AW valid on the io port", (
        f"{at('c', t.RESULT_ADDRESS_CYCLES)}, first results put into a beat {first}, bf16 {t.CONVERT_CYCLES} cycle later; a "
        "beat goes in the cycle after it is full")
    yield ("all results answered at c, then the record", "the record starts, then the batch is complete",
           at("c", t.ANSWERED_CYCLES))


def markdown() -> str:
    """The table."""
    return "\n".join(table_rows(("from", "to", "cycles"), _rows()))


if __name__ == "__main__":
    pages.write_part(PAGE, PART, markdown())
