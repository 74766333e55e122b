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


def _rows() -> Iterator[tuple[object, ...]]:
    way = f"+H(L+{t.ROUTER_CYCLES})"
    loaded, written = t.LOADED_CYCLES, t.PAYLOAD_CYCLES + t.WRITTEN_CYCLES
    control = at("c", t.CONTROL_CYCLES) + way
    yield "load fires at c", "first AR valid", (f"{at('c', t.ADDRESS_CYCLES)}, one burst per cycle, next load from "
                                                f"{at('c', t.ADDRESS_CYCLES)}+bursts")
    yield "AR accepted at a", "first R beat valid", "a + DDR latency, or the cycle after the previous slice's last beat"
    yield "last beat at d", "slot `filled`", f"{at('d', loaded + t.STATE_CYCLES)} (and one load less in flight)"
    yield "request fires at c", "request pending at the ring-next tile", control
    yield "grant fires at c", "granted at the ring-previous tile", control
    yield "send fires at c", "header on the link", (
        f"c, payload flit j at {at('c', t.PAYLOAD_CYCLES)}+j (the slot's SRAM is read in between), tail at "
        f"{at('c', t.PAYLOAD_CYCLES - 1)}+F")
    yield "", "header at the ring-next receiver", f"c{way} = h"
    yield "", "sender idle, slot no longer `sending`", f"{at('c', t.PAYLOAD_CYCLES - 1 + t.STATE_CYCLES)}+F"
    yield "header at the receiver at h", "payload flit j there, written and copied", f"{at('h', written)}+j"
    yield "", "slot `filled` there", f"{at('h', written - 1 + t.STATE_CYCLES)}+F"
    yield "flit goes at c", "its credit can be spent again", f"{at('c', t.CREDIT_CYCLES)}+2L, if it leaves the router at once"
    yield ("compute fires at c", "address of the slice's first word, its parameters",
           f"{at('c', t.COMPUTE_SETUP_CYCLES)}, one per cycle")
    yield "last weight word's address at e", "slot no longer `computing`", at("e", t.STATE_CYCLES)
    yield "", "results and counts of clips written, compute unit drained", at("e", t.COMPUTE_DRAIN_CYCLES)
    yield "", "sequencer ready again", (
        f"e - min({t.COMPUTE_EARLY_CYCLES}, `down_words` - 1), so that the next slice's first word may follow at "
        + at("e", t.COMPUTE_SETUP_CYCLES - t.COMPUTE_EARLY_CYCLES))
    yield "request of the host accepted at c", "its response", (
        f"{at('c', t.HOST_CYCLES)}, of a read of TABLE_DATA {at('c', t.HOST_CYCLES + t.TABLE_READ_CYCLES)}; up to "
        f"{t.OTHER_ACCESS_CYCLES} cycles later if an access of the other channel goes first")
    yield "strobe of a counter at c", "it shows in the counter", at("c", t.COUNTER_CYCLES) + " (CYCLES: c+1)"
    yield ("a protected SRAM is read at r", "error MEMORY or the count of a correction at the host port",
           at("r", t.FLAG_CYCLES))


def markdown() -> str:
    """The table."""
    return "\n".join(table_rows(("from", "to", "cycles"), _rows()))


if __name__ == "__main__":
    pages.write_part(PAGE, PART, markdown())
