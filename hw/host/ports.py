"""What the host port exchanges with the blocks of a tile, as the host port sees it."""

from collections.abc import Mapping

from amaranth.hdl import Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from trajectile.hw.d2d.layouts import Port
from trajectile.hw.host.axi import HOST_DATA_BITS
from trajectile.hw.lib.signature import NamedSignature
from trajectile.hw.widths import Widths


class ErrorStrobes(NamedSignature):
    """Fatal errors that other blocks report to batch control; each is high in the cycle in which the error occurs."""

    class Interface(wiring.PureInterface):
        ddr_response: Signal
        io_response: Signal
        link_down: Signal
        memory: Signal
        disagree: Signal

        @property
        def by_name(self) -> dict[str, Signal]:
            """By name, as in ``ERRORS`` (``hw/host/codes.py``)."""
            return {"DDR_RESPONSE": self.ddr_response, "IO_RESPONSE": self.io_response, "LINK_DOWN": self.link_down,
                    "MEMORY": self.memory, "DISAGREE": self.disagree}

    def __init__(self) -> None:
        super().__init__({
            "ddr_response": In(1),  #: the DDR channel answered a read with an error
            "io_response": In(1),  #: the io port was answered a write with an error
            "link_down": In(1),  #: a link to a neighbour has failed for good
            "memory": In(1),  #: a word of a memory is wrong and cannot be corrected
            "disagree": In(1),  #: another tile's batch has another load order, dataflow or tag
        })


class CountStrobes(NamedSignature):
    """One strobe per counter."""

    class Interface(wiring.PureInterface):
        ddr_beat: Signal
        word: Signal
        flit_out: Signal
        load: Signal
        compute: Signal
        send: Signal
        cut: Signal
        grant: Signal
        clip: Signal
        corrected: Signal

        @property
        def by_name(self) -> dict[str, Signal]:
            """By the name of the counter's register: ``COUNTERS`` of ``hw/host/regmap.py``."""
            return {"COUNT_DDR_BEAT": self.ddr_beat, "COUNT_WORD": self.word, "COUNT_FLIT_OUT": self.flit_out,
                    "COUNT_LOAD": self.load, "COUNT_COMPUTE": self.compute, "COUNT_SEND": self.send, "COUNT_CUT": self.cut,
                    "COUNT_GRANT": self.grant, "COUNT_CLIP": self.clip}

    def __init__(self, *, corrects: bool):
        super().__init__({
            "ddr_beat": In(1),  #: a DDR data beat is taken
            "word": In(1),  #: a word of a slice is read for the MAC array
            "flit_out": In(1),  #: a flit is sent to a neighbour
            "load": In(1),  #: rule 1: a slice is asked for from DDR
            "compute": In(1),  #: rule 2: a slice is given to the MAC array
            "send": In(1),  #: rule 3 or 4: a slice is sent to the ring-next tile
            "cut": In(1),  #: with ``send``: by cut-through
            "grant": In(1),  #: a slot is granted to the ring-previous tile
            "clip": In(1),  #: a gate-up pair or a group of results was clipped
            **({"corrected": In(1)} if corrects else {}),  #: a bit of protected memory was corrected
        })


class LinkStatus(NamedSignature):
    """What the link layer of one port reports."""

    class Interface(wiring.PureInterface):
        down: Signal
        frames: Signal
        replays: Signal
        errors: Signal
        is_open: Signal

        @property
        def by_name(self) -> Mapping[str, Value]:
            """Strobes by the end of the name of their counter: ``LINK_COUNTERS`` of ``hw/host/regmap.py``."""
            return {"FRAMES": self.frames, "REPLAYS": self.replays, "ERRORS": self.errors}

    def __init__(self, *, opens: bool) -> None:
        super().__init__({
            "down": In(1),  #: the link is down; only a reset ends it
            "frames": In(1),  #: a DATA frame goes out, for the first time or again (for the counter)
            "replays": In(1),  #: a replay starts (for the counter)
            "errors": In(1),  #: a frame came with a wrong CRC or kind (for the counter)
            **({"is_open": In(1)} if opens else {}),  #: the far end is awake, in the same epoch
        })


class Settings(NamedSignature):
    """What the host has set; it stays as it is while a descriptor waits or a batch runs."""

    class Interface(wiring.PureInterface):
        ring_next: Signal
        ring_prev: Signal
        watchdog: Signal
        route: data.View

        @property
        def by_name(self) -> dict[str, Value]:
            """Settings of one number, by the name of their register."""
            return {"RING_NEXT": self.ring_next, "RING_PREV": self.ring_prev, "WATCHDOG": self.watchdog}

    def __init__(self, params: Widths):
        super().__init__({
            "ring_next": Out(params.tile_bits),  #: tile after this one in the ring
            "ring_prev": Out(params.tile_bits),  #: tile before this one in the ring
            "watchdog": Out(HOST_DATA_BITS),  #: most cycles of a batch; 0: no limit
            "route": Out(data.ArrayLayout(Port, params.config.array.tiles)),  #: output port by destination tile
        })
