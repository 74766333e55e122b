"""The frame of a link layer for people (Markdown), from its one layout in ``trajectile.hw.d2d.layouts``."""

from collections.abc import Iterator

from amaranth.hdl import Shape
from amaranth.lib import data

from trajectile.hw.d2d.layouts import FlitKind, FrameKind, LinkState
from trajectile.hw.params import Params
from trajectile.scripts.report.markdown import table_rows
from trajectile.scripts.soc.register_map import bit_range

MEANINGS = {
    "crc": "CRC of all bits above, the highest bit first",
    "kind": ", ".join(f"{kind.value} {kind.name}" for kind in FrameKind) + "; 3 is none",
    "seq": "number of this DATA frame; of an IDLE frame: number of the next DATA frame",
    "ack": "all DATA frames before this number have come",
    "nak": "the frame with this number is missing: send again from it on",
    "news.state": "how far the sender has come with this link: " + ", ".join(f"{one.value} {one.name}" for one in LinkState),
    "news.epoch": "number of the last reset that the sender knows of",
    "news.halt": "the sender has failed in this epoch",
    "news.ready": "hops from the sender within which all tiles are in this epoch and out of reset, and one more",
    "lanes.flit_valid": "the flit lane carries something",
    "lanes.flit.head": "first flit of a packet",
    "lanes.flit.tail": "last flit of a packet",
    "lanes.flit.payload": "payload, or the packet's header",
    "lanes.request_valid": "the request lane carries something",
    "lanes.request.slice.expert": "for a slice of this expert",
    "lanes.request.slice.index": "for this slice of it",
    "lanes.request.slice.batch": "of this batch",
    "lanes.request.slice.ahead": "its stops ahead: bit i is the tile i + 1 after the one that asks",
    "lanes.grant_valid": "the grant lane carries something",
    "lanes.grant.slot": "slot that it gets",
    "lanes.count_valid": "the count lane carries something",
    "lanes.count.hops": "tiles that the word has passed",
    "lanes.count.word": "order and tag of a batch, or passes of four experts",
    "lanes.permit_valid": "the permit lane carries something",
    "lanes.permit.record": "one flit of records more may come",
    "lanes.permit.sums": "the sums of the oldest batch may come",
    "lanes.credit": "a flit that came by this port was taken or has gone on",
}
#: what differs where flits are of several kinds
MEANINGS_OF_KINDS = {
    "lanes.flit.kind": ", ".join(f"{kind.value} {kind.name}" for kind in FlitKind),
    "lanes.flit.head": "SLICE: first flit of a packet; RECORD: number of a tile's tokens; SUMS: clips and unit of a token",
    "lanes.flit.tail": "SLICE: last flit of a packet; RECORD: the beat came with an error",
    "lanes.flit.payload": "payload, or what `head` says",
}


def _leaves(layout: data.StructLayout, prefix: str = "", low: int = 0) -> Iterator[tuple[str, int, int]]:
    """Path, lowest bit and width of each field that is no structure itself."""
    for name, field in layout:
        path, offset = f"{prefix}{name}", low + field.offset
        if isinstance(field.shape, data.StructLayout):
            yield from _leaves(field.shape, f"{path}.", offset)
        else:
            yield path, offset, Shape.cast(field.shape).width


def frame_table(params: Params) -> str:
    """The fields of a frame as a Markdown table, lowest bit first; bit i is the coefficient of x^i in the CRC."""
    meanings = MEANINGS | (MEANINGS_OF_KINDS if params.config.array.shares else {})
    return "\n".join(table_rows(("bits", "width", "field", "meaning"), (
        (bit_range(low, width), width, path, meanings[path]) for path, low, width in _leaves(params.frame_layout))))


def markdown(params: Params) -> str:
    """The page that goes with the Verilog."""
    config = params.config
    return (f"# Frame\n\nConfiguration `{config.name}`: {params.frame_bits} bits, one frame per cycle and direction. "
            "Generated from `hw/d2d/layouts.py`; do not edit. docs/link.md says what happens to it.\n\n"
            f"{frame_table(params)}")
