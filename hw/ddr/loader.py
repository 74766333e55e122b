"""The DDR loader: works off load entries with full-length AXI4 read bursts."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, exact_log2

from trajectile.hw.batch.layouts import PAGE_BITS, BatchLayouts
from trajectile.hw.host.axi import AXI_BURST_INCR, Axi4Read, Response
from trajectile.hw.lib.block import Block
from trajectile.hw.memory.expert_buffer import SlotWrite
from trajectile.hw.rules.ports import LoadPort


class DdrLoader(Block):
    """Fetches the slices of load entries in order, each when rule 1 says so. A layer begins with a page; each batch has one.

    Up to ``loads_in_flight`` slices are requested ahead, which hides the DDR latency. Slices are whole bursts apart, so no
    burst crosses a 4 KiB line. All reads carry one ID, so data comes in order. The loader always accepts data, because a
    slice is requested only when it has a slot. If the tile is stopped rule 1 starts no other slice, but the loader finishes
    those that it has requested. So the DDR port is at rest when ``quiet`` is high.

    Latency: with ``load.start`` in cycle c, the first address is in c+1 (``latency_cycles`` = 1), then one burst per cycle. A
    beat is written in the cycle after it came (``write_cycles`` = 1); ``load.done`` comes with the last. From
    the last beat of a slice to the first address of a load that had to wait for it: ``turn_cycles`` = 3. Throughput: one beat
    per cycle. Storage: one beat, ``loads_in_flight`` slot numbers.
    """

    latency_cycles = 1
    write_cycles = 1
    #: the entry is offered in the cycle after ``loaded``
    turn_cycles = write_cycles + 1 + latency_cycles

    ddr: Axi4Read.Interface
    entries: stream.Interface
    pages: data.View
    load: LoadPort.Interface
    quiet: Signal
    bad_response: Signal
    beat: Signal
    write: SlotWrite.Interface

    def __init__(self, params: BatchLayouts):
        self.params = params
        super().__init__({
            "ddr": Out(Axi4Read(params.address_bits, params.beat_bits)),  #: to the DDR controller
            "entries": In(stream.Signature(params.load_layout)),  #: what to fetch; taken when rule 1 fires
            #: the page with which a batch's layer begins, by batch: row 0 of the channel
            "pages": In(data.ArrayLayout(params.address_bits - PAGE_BITS, params.config.tile.batches)),
            "load": In(LoadPort(params)),  #: rule 1
            "quiet": Out(1),  #: every beat that was requested has come
            "bad_response": Out(1),  #: a beat comes with an error
            "beat": Out(1),  #: a data beat is taken (for the counter)
            **({} if params.timing_only else  # to the expert buffer
               {"write": Out(SlotWrite(params, params.config.word_beats, params.config.ddr.bytes_per_cycle))}),
        })

    def elaborate(self, platform: object) -> Module:
        """Address channel, data channel."""
        m = Module()
        params, config = self.params, self.params.config
        bursts, burst_beats = config.slice_bursts, config.ddr.burst_beats
        last_beats = config.slice_beats - (bursts - 1) * burst_beats
        burst_bytes = burst_beats * config.ddr.bytes_per_cycle
        m.d.comb += [
            self.load.entry.eq(self.entries.payload),
            self.entries.ready.eq(self.load.start),
        ]

        # Slices in flight: their slots, oldest first.
        flight = config.loads_in_flight
        queue = [Signal(params.slot_bits, name=f"flight_{i}") for i in range(flight)]
        in_flight = Signal(range(flight + 1))
        m.d.sync += in_flight.eq(in_flight + self.load.start - self.load.done)
        with m.If(self.load.done):
            m.d.sync += [queue[i].eq(queue[i + 1]) for i in range(flight - 1)]
        with m.If(self.load.start):
            for i in range(flight):
                with m.If(in_flight - self.load.done == i):
                    m.d.sync += queue[i].eq(self.load.slot)

        # Address channel: one slice at a time, one burst per cycle.
        asking = Signal()
        burst = Signal(bits_for(bursts - 1))
        ddr = self.ddr
        layer = Array(self.pages[batch] for batch in range(config.tile.batches))[self.entries.payload.batch]
        address = Signal(params.address_bits - exact_log2(burst_bytes))  # in bursts
        last_burst = burst == bursts - 1
        m.d.comb += [
            ddr.arvalid.eq(asking),
            ddr.araddr.eq(address << exact_log2(burst_bytes)),
            ddr.arlen.eq(Mux(last_burst, last_beats - 1, burst_beats - 1)),
            ddr.arsize.eq(exact_log2(config.ddr.bytes_per_cycle)),
            ddr.arburst.eq(AXI_BURST_INCR),
            self.load.valid.eq(self.entries.valid & ~asking & (in_flight != flight)),
        ]
        with m.If(self.load.start):
            m.d.sync += [
                asking.eq(1), burst.eq(0),
                address.eq((layer << (PAGE_BITS - exact_log2(burst_bytes))) + self.load.entry.row * bursts),
            ]
        with m.Elif(asking & ddr.arready):
            m.d.sync += [asking.eq(~last_burst), burst.eq(burst + 1), address.eq(address + 1)]

        # Data channel: a beat is written in the cycle after it came.
        word = Signal(params.word_addr_bits)  # of the beat that comes next
        beat = Signal(bits_for(config.word_beats - 1))  # which of the word
        first = Signal(init=1)  # that word is the slice's first, which may have fewer beats
        last_beat = beat == Mux(first, params.first_word_beats - 1, config.word_beats - 1)
        last_word = word == config.slice_words - 1
        written = Signal()
        ends = Signal()
        m.d.comb += [
            ddr.rready.eq(1),
            self.beat.eq(ddr.rvalid),
            self.bad_response.eq(ddr.rvalid & (ddr.rresp != Response.OKAY)),
        ]
        m.d.sync += [written.eq(self.beat), ends.eq(self.beat & last_beat & last_word)]
        with m.If(self.beat):
            m.d.sync += beat.eq(Mux(last_beat, 0, beat + 1))
            with m.If(last_beat):
                m.d.sync += [word.eq(Mux(last_word, 0, word + 1)), first.eq(last_word)]
        m.d.comb += [
            self.load.done.eq(ends),
            self.load.done_slot.eq(queue[0]),
            self.quiet.eq(in_flight == 0),
        ]
        if not params.timing_only:
            # Contents need no reset: `written` says whether there are any.
            write = self.write
            piece = Signal.like(write.piece, name="piece_written", reset_less=True)
            address = Signal.like(write.addr, name="address_written", reset_less=True)
            contents = Signal.like(write.data, name="contents", reset_less=True)
            m.d.sync += [piece.eq(beat), address.eq(word), contents.eq(ddr.rdata)]
            m.d.comb += [
                write.en.eq(written), write.slot.eq(queue[0]), write.addr.eq(address), write.piece.eq(piece),
                write.data.eq(contents),
            ]
        return m
