"""The record port: token records from the ring-previous tile and to the ring-next one."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.d2d.layouts import RECORD_CREDITS, FlitKind, LinkLayouts
from trajectile.hw.d2d.port import Message
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.sram import Sram1R1W
from trajectile.hw.lib.struct_signal import struct_signal
from trajectile.hw.lib.two_places import TwoPlaces


class RecordPort(Block):
    """A queue for the records that come, and two places for those that go.

    The ring-previous tile spends a credit on every flit of records, so the queue always has room. A credit goes back when an
    item leaves the queue, as ``permit_record``. This tile does the same towards the ring-next one: it begins with
    ``RECORD_CREDITS`` = 16, and an item goes only with one.

    Latency: a flit at ``arrival`` in cycle c is at the head of the queue in c+2 if that was empty (``latency_cycles`` = 2).
    An item that is put into an empty place in c is a flit from c+1 on (``out_cycles`` = 1). A credit that comes in c can be
    spent in c+1 (``credit_cycles`` = 1). Throughput: one item per cycle each way. Storage: 16 items in an SRAM, two in
    flip-flops.
    """

    latency_cycles = 2
    out_cycles = TwoPlaces.latency_cycles
    credit_cycles = 1
    out_places = TwoPlaces.places

    arrival: Message.Interface
    come: stream.Interface
    permit_record: Signal
    go: stream.Interface
    flits: stream.Interface
    permitted: Signal

    def __init__(self, params: LinkLayouts):
        self.params = params
        item = params.record_item_layout
        super().__init__({
            "arrival": In(Message(params.flit_layout)),  #: from the router: a flit of records
            "come": Out(stream.Signature(item)),  #: the oldest item from the ring-previous tile
            "permit_record": Out(1),  #: strobe: one is taken, so the ring-previous tile may send one more
            "go": In(stream.Signature(item)),  #: an item for the ring-next tile
            "flits": Out(stream.Signature(params.flit_layout)),  #: its flit, while there is a credit
            "permitted": In(1),  #: strobe: the ring-next tile has taken one
        })

    def elaborate(self, platform: object) -> Module:
        """What comes, then what goes."""
        m = Module()
        layout = self.params.record_item_layout
        flit, come, go, flits = self.arrival.payload, self.come, self.go, self.flits
        # An item waits in the SRAM, then at its output until it is taken. There is always room: a credit stands for a place.
        queue = Sram1R1W(depth=RECORD_CREDITS, width=layout.size)
        place(m, platform, queue=queue)
        write_at = Signal(range(RECORD_CREDITS))
        read_at = Signal(range(RECORD_CREDITS))
        waiting = Signal(range(RECORD_CREDITS))  # items that were not read; of those that are here one has been
        stands = Signal()
        item = struct_signal(layout, name="item")
        m.d.comb += [
            item.head.eq(flit.head), item.error.eq(flit.tail), item.payload.eq(flit.payload),
            queue.wen.eq(self.arrival.valid), queue.waddr.eq(write_at), queue.wdata.eq(item),
            queue.ren.eq((waiting != 0) & (~stands | come.ready)), queue.raddr.eq(read_at),
            come.valid.eq(stands), come.payload.eq(queue.rdata), self.permit_record.eq(come.valid & come.ready),
        ]
        m.d.sync += [
            write_at.eq(write_at + queue.wen), read_at.eq(read_at + queue.ren),
            waiting.eq(waiting + queue.wen - queue.ren), stands.eq(queue.ren | (stands & ~come.ready)),
        ]

        # Two places, so that whether there is room does not depend on what the link takes in the cycle.
        places = TwoPlaces(layout)
        place(m, platform, places=places)
        connect(m, flipped(go), places.enters)
        held = places.leaves
        credits = Signal(range(RECORD_CREDITS + 1), init=RECORD_CREDITS)
        goes = Signal()
        m.d.comb += [
            flits.valid.eq(held.valid & (credits != 0)), goes.eq(flits.valid & flits.ready), held.ready.eq(goes),
            flits.payload.kind.eq(FlitKind.RECORD), flits.payload.head.eq(held.payload.head),
            flits.payload.tail.eq(held.payload.error), flits.payload.payload.eq(held.payload.payload),
        ]
        m.d.sync += credits.eq(credits - goes + self.permitted)
        return m
