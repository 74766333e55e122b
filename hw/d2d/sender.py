"""The sender: makes a packet of a slice and hands it to the router."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import bits_for

from trajectile.hw.d2d.layouts import FlitKind, LinkLayouts
from trajectile.hw.d2d.port import Arriving
from trajectile.hw.d2d.word_queue import WordQueue, queue_cycles
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.struct_signal import struct_signal
from trajectile.hw.lib.two_places import TwoPlaces
from trajectile.hw.memory.expert_buffer import SlotRead, word_cycles
from trajectile.hw.rules.ports import SendPort


class SliceSender(Block):
    """Sends a header flit and the slice's payload flits, from its slot or, on cut-through, as they arrive.

    On cut-through a flit goes to the router in the cycle in which it is at the receiver. If the link does not take it in that
    cycle, the rest of the slice is sent from its slot, once all of it is there. So an arriving flit never waits.

    With ``tile.register_slots`` words are read ahead and wait in a queue (:class:`WordQueue`). With ``tile.register_flits``
    flits have two places at the way out. Then registers say whether there is a flit, and whether the link has room for one:
    whether a slice starts is known late, and other flits wait for it.

    Latency: with ``start`` in cycle c the header flit is there in c too, or a cycle later with places (``flit_cycles``), and
    so is what follows. From a slot, payload flit j is ``latency_cycles`` + j later than the header: 2 + j, as the SRAM is
    read in c+1, or 4 + j out of the queue. ``ready`` is high again in the cycle after the tail. Throughput: one flit per
    cycle. Storage: none for payload without queue and places; it is at the SRAM's output or comes from the link.
    """

    send: SendPort.Interface
    arriving: Arriving.Interface
    flits: stream.Interface
    read: SlotRead.Interface

    def __init__(self, params: LinkLayouts):
        self.params = params
        tile = params.config.tile
        #: a slot's words wait in a queue
        self.queues = tile.register_slots
        self.latency_cycles = 1 + (queue_cycles(tile) if self.queues else word_cycles(tile))
        self.flit_cycles = TwoPlaces.latency_cycles if tile.register_flits else 0
        super().__init__({
            "send": In(SendPort(params)),  #: rules 3 and 4
            "arriving": In(Arriving(params)),  #: from the receiver: on cut-through the flits come from here
            "flits": Out(stream.Signature(params.flit_layout)),  #: to the router; a flit may be replaced by none (overtaken)
            **({} if params.timing_only else {"read": Out(SlotRead(params))}),  #: from the expert buffer
        })

    def elaborate(self, platform: object) -> Module:
        """The packet, then where its payload comes from."""
        m = Module()
        params, config = self.params, self.params.config
        send, arriving, flits = self.send, self.arriving, self.flits
        if self.flit_cycles:
            places = TwoPlaces(params.flit_layout)
            place(m, platform, places=places)
            connect(m, places.leaves, flipped(self.flits))
            flits = places.enters
        idle = Signal(init=1)
        busy = ~idle
        m.d.comb += send.ready.eq(idle)
        cutting = Signal()
        header, held = (struct_signal(params.header_layout, name=name) for name in ("header", "held_header"))
        header_due = Signal()  # it could not go in the cycle of `start`
        fetched = Signal()  # the word at the SRAM's output, or in the queue, is to be sent
        lost = Signal()  # the link did not take an arriving flit

        # The flit lane: header first, then payload. With nothing to send the header of what may come is shown.
        piece = Signal(bits_for(config.word_flits - 1))  # which of its word
        first = Signal()  # that word is the slice's first, which may have fewer flits
        left = Signal(range(config.slice_flits + 1), name="flits_left")  # payload flits to go
        heads = ~busy | header_due
        tail = left == 1
        goes = flits.valid & flits.ready
        here_now = Mux(cutting, arriving.copy & ~lost, fetched)  # a payload flit
        sends = busy & ~header_due & here_now & flits.ready  # whether a packet starts comes late, and says nothing of payload
        last_piece = piece == Mux(first, params.first_word_flits - 1, config.word_flits - 1)
        m.d.comb += [
            flits.valid.eq(send.start | header_due | here_now),
            send.done.eq(sends & tail),
            flits.payload.head.eq(heads),
            flits.payload.tail.eq(~heads & tail),
            header.eq(held),
        ]
        with m.If(~busy):
            m.d.comb += [
                header.slot.eq(send.to_slot), header.expert.eq(send.slice.expert), header.index.eq(send.slice.index),
            ]
        with m.If(send.start):
            m.d.sync += [
                idle.eq(0), send.done_slot.eq(send.slot), held.eq(header), header_due.eq(~flits.ready),
                left.eq(config.slice_flits), piece.eq(0), first.eq(1),
            ]
        with m.Else():
            with m.If(goes):
                m.d.sync += header_due.eq(0)
            with m.If(sends):
                m.d.sync += [left.eq(left - 1), piece.eq(Mux(last_piece, 0, piece + 1)), first.eq(first & ~last_piece)]
            with m.If(send.done):
                m.d.sync += idle.eq(1)

        # Out of the slot: the word stands at the SRAM's output until its last flit has gone. `address` is the next to read.
        # Whether the link takes a flit comes late in a cycle, and the SRAM waits for it: all else is there before.
        address = Signal(range(config.slice_words))
        all_read = Signal()  # and there is no next one
        word_ends = sends & last_piece
        more = busy & ~cutting & ~all_read
        reads = more & (~fetched | (~header_due & last_piece & flits.ready))
        if self.queues:
            queue = WordQueue(params)
            place(m, platform, word_queue=queue)
            reads = queue.reads
            m.d.comb += [queue.more.eq(more), fetched.eq(queue.waits), queue.goes.eq(word_ends & ~cutting)]
        steps = Signal()  # a word was read, or has gone on as it arrived
        # Cut-through: an arriving flit goes on, or is sent later with all that come after it.
        here = Signal()  # all of the slice is in its slot
        with m.If(send.start):
            m.d.sync += [cutting.eq(send.cut), address.eq(0), all_read.eq(0), lost.eq(0), here.eq(0)]
        with m.Elif(cutting):
            m.d.comb += steps.eq(word_ends)
            with m.If(arriving.copy & ~sends):
                m.d.sync += lost.eq(1)
            with m.If(arriving.last):
                m.d.sync += here.eq(1)
            with m.If(lost & here):
                m.d.sync += cutting.eq(0)
        with m.Else():
            m.d.comb += steps.eq(reads)
            if not self.queues:
                with m.If(reads | word_ends):
                    m.d.sync += fetched.eq(reads)

        with m.If(steps):
            m.d.sync += [address.eq(address + 1), all_read.eq(address == config.slice_words - 1)]

        content: Value = flits.payload.payload
        if config.array.shares:
            # a signal by itself: simulators of Verilog do not evaluate an `always` that gives a part of one a constant
            content = Signal(params.payload_bits, name="content")
            m.d.comb += [flits.payload.kind.eq(FlitKind.SLICE), flits.payload.payload.eq(content)]
        if params.timing_only:
            m.d.comb += content.eq(header)
            return m
        m.d.comb += [self.read.en.eq(reads), self.read.slot.eq(send.done_slot), self.read.addr.eq(address)]
        word = self.read.data
        if self.queues:
            m.d.comb += queue.data.eq(word)
            word = queue.word
        with m.If(heads):
            m.d.comb += content.eq(header)
        with m.Elif(cutting):
            m.d.comb += content.eq(arriving.payload)
        with m.Else():
            m.d.comb += content.eq(word.word_select(piece, 8 * config.flit_bytes))
        return m
