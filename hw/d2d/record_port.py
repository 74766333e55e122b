"""The record port: token records from the ring-previous tile and to the ring-next one."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from trajectile.hw.d2d.layouts import RECORD_CREDITS, FlitKind, LinkLayouts
from trajectile.hw.d2d.port import Message
from trajectile.hw.lib.block import Block
from trajectile.hw.lib.struct_signal import struct_signal


class RecordPort(Block):
    """A queue for the records that come, and a register for the one that goes.

    The ring-previous tile spends a credit on every flit of records, so the queue always has room. A credit goes back when an
    item leaves the queue, as ``permit_record``. This tile does the same towards the ring-next one: it begins with
    ``RECORD_CREDITS`` = 8, and an item goes only with one.

    Latency: a flit at ``arrival`` in cycle c is at the head of the queue in c+1 if that was empty (``latency_cycles`` = 1).
    An item that is put into the register in c is a flit from c+1 on (``out_cycles`` = 1). A credit that comes in c can be
    spent in c+1 (``credit_cycles`` = 1). Throughput: one item per cycle each way. Storage: 8 items and one, in flip-flops.
    """

    latency_cycles = 1
    out_cycles = 1
    credit_cycles = 1

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
            "arrival": In(Message(params.flit_layout)),  #: from the router; flits of other kinds are none of its
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
        # Places count modulo twice the depth: equal ones are those of an empty queue, and there is always room. Contents need
        # no reset.
        queue = struct_signal(data.ArrayLayout(layout, RECORD_CREDITS), name="queue", reset_less=True)
        write_at = Signal(range(2 * RECORD_CREDITS))
        read_at = Signal(range(2 * RECORD_CREDITS))
        m.d.comb += [
            come.valid.eq(write_at != read_at), come.payload.eq(queue[read_at[:-1]]),
            self.permit_record.eq(come.valid & come.ready),
        ]
        m.d.sync += read_at.eq(read_at + self.permit_record)
        with m.If(self.arrival.valid & (flit.kind == FlitKind.RECORD)):
            item = queue[write_at[:-1]]
            m.d.sync += [item.head.eq(flit.head), item.error.eq(flit.tail), item.payload.eq(flit.payload),
                         write_at.eq(write_at + 1)]

        full = Signal()
        held = struct_signal(layout, name="held", reset_less=True)
        credits = Signal(range(RECORD_CREDITS + 1), init=RECORD_CREDITS)
        goes = Signal()
        m.d.comb += [
            flits.valid.eq(full & (credits != 0)), goes.eq(flits.valid & flits.ready), go.ready.eq(~full | goes),
            flits.payload.kind.eq(FlitKind.RECORD), flits.payload.head.eq(held.head), flits.payload.tail.eq(held.error),
            flits.payload.payload.eq(held.payload),
        ]
        m.d.sync += credits.eq(credits - goes + self.permitted)
        with m.If(go.ready):
            m.d.sync += full.eq(go.valid)
        with m.If(go.ready & go.valid):
            m.d.sync += held.eq(go.payload)
        return m
