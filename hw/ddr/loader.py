"""The DDR loader: works off the load list with full-length AXI4 read bursts."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, exact_log2

from hw.host.axi import Axi4Read, Response
from hw.host.tables import TableBus
from hw.lib.emit import Block, place
from hw.lib.limits import exceeds
from hw.lib.sram import Sram1RW
from hw.memory.expert_buffer import SlotWrite
from hw.params import Params, Table

#: AXI4 burst type: addresses count up
AXI_BURST_INCR = 1


class DdrLoader(Block):
    """Fetches the slices of the load list in order, each when rule 1 says so.

    Up to ``loads_in_flight`` slices are asked for ahead, which hides the DDR latency; slices are whole bursts apart, so no
    burst crosses a 4 KiB line. All reads carry one ID, so data comes in order. It always accepts data: a slice is asked
    for only when it has a slot. When the batch ends early it asks for no other slice, but finishes those that it has asked
    for, so that the DDR port is at rest when it is ``quiet``.

    An entry that names no slice of the layer, or any entry in a tile without DDR, is not taken but reported.

    Latency: ``load`` in cycle c, first address in c+1, one burst a cycle; a word is written the cycle after its last beat,
    ``loaded`` goes with the last word. Throughput: one beat a cycle.
    Storage: the load list (SRAM), one weight word, ``loads_in_flight`` slot numbers.
    """

    def __init__(self, params: Params):
        self.params = params
        super().__init__({
            "table": In(TableBus(params)),  #: host writes of LOADS
            "ddr": Out(Axi4Read(params.address_bits, params.beat_bits)),  #: to the DDR controller
            "base": In(params.address_bits),  #: byte address of row 0
            "count": In(params.load_bits),  #: entries of the load list
            "has_ddr": In(1),  #: strap: there is a DDR controller
            "clear": In(1),  #: start again with entry 0 (the cycle before a batch)
            "running": In(1),  #: a batch runs
            "valid": Out(1),  #: there is an entry and it can be taken
            "entry": Out(params.load_layout),  #: the next entry
            "load": In(1),  #: rule 1: fetch it now
            "load_slot": In(params.slot_bits),  #: into this slot
            "loaded": Out(1),  #: the last word of a slice is written in this cycle
            "loaded_slot": Out(params.slot_bits),
            "done": Out(1),  #: every entry is fetched and written
            "quiet": Out(1),  #: nothing that was asked for is still to come
            "bad_entry": Out(1),  #: the next entry is not legal
            "bad_response": Out(1),  #: a beat comes with an error
            "beat": Out(1),  #: a data beat is taken (for the counter)
            **({} if params.timing_only else {"write": Out(SlotWrite(params))}),  #: to the expert buffer
        })

    def elaborate(self, platform: object) -> Module:
        """List pointer, address channel, data channel."""
        m = Module()
        params, config = self.params, self.params.config
        bursts, burst_beats = config.slice_bursts, config.ddr.burst_beats
        last_beats = config.slice_beats - (bursts - 1) * burst_beats
        burst_bytes = burst_beats * config.ddr.bytes_per_cycle
        entries = Sram1RW(depth=params.load_depth, width=params.load_layout.size)
        place(m, platform, load_list=entries)

        # The next entry always stands at the SRAM's output; taking it reads the one after.
        pointer = Signal(params.load_bits)
        host_write = self.table.write & (self.table.table == Table.LOADS)
        m.d.comb += [
            entries.en.eq(host_write | self.clear | self.load),
            entries.we.eq(host_write),
            entries.addr.eq(Mux(host_write, self.table.index, Mux(self.clear, 0, pointer + 1))),
            entries.wdata.eq(self.table.write_data),
            self.entry.eq(entries.rdata),
        ]
        with m.If(self.clear):
            m.d.sync += pointer.eq(0)
        with m.Elif(self.load):
            m.d.sync += pointer.eq(pointer + 1)

        # An entry is looked at as soon as it stands there.
        due = Signal()
        wrong = Cat(exceeds(self.entry[name], maximum) for name, maximum in params.load_maxima.items()).any()
        m.d.comb += [
            due.eq(self.running & (pointer != self.count)),
            self.bad_entry.eq(due & (wrong | ~self.has_ddr)),
        ]

        # Slices in flight: their slots, oldest first.
        flight = config.loads_in_flight
        queue = [Signal(params.slot_bits, name=f"flight_{i}") for i in range(flight)]
        in_flight = Signal(range(flight + 1))
        m.d.sync += in_flight.eq(in_flight + self.load - self.loaded)
        with m.If(self.loaded):
            m.d.sync += [queue[i].eq(queue[i + 1]) for i in range(flight - 1)]
        with m.If(self.load):
            for i in range(flight):
                with m.If(in_flight - self.loaded == i):
                    m.d.sync += queue[i].eq(self.load_slot)

        # Address channel: one slice at a time, one burst a cycle.
        asking = Signal()
        burst = Signal(bits_for(bursts - 1))
        ddr = self.ddr
        address = Signal(params.address_bits - exact_log2(burst_bytes))  # in bursts
        last_burst = burst == bursts - 1
        m.d.comb += [
            ddr.arvalid.eq(asking),
            ddr.araddr.eq(Cat(self.base[:exact_log2(burst_bytes)], address)),
            ddr.arlen.eq(Mux(last_burst, last_beats - 1, burst_beats - 1)),
            ddr.arsize.eq(exact_log2(config.ddr.bytes_per_cycle)),
            ddr.arburst.eq(AXI_BURST_INCR),
            self.valid.eq(due & ~self.bad_entry & ~asking & (in_flight != flight)),
        ]
        with m.If(self.load):
            m.d.sync += [
                asking.eq(1), burst.eq(0),
                address.eq(self.base[exact_log2(burst_bytes):] + self.entry.row * bursts),
            ]
        with m.Elif(asking & ddr.arready):
            m.d.sync += [asking.eq(~last_burst), burst.eq(burst + 1), address.eq(address + 1)]

        # Data channel: beats are shifted into a word; it is written in the cycle after its last beat.
        beat = Signal(bits_for(config.word_beats - 1))
        word = Signal(params.word_addr_bits)
        last_beat = beat == config.word_beats - 1
        written = Signal()
        address_written = Signal(params.word_addr_bits)
        m.d.comb += [
            ddr.rready.eq(1),
            self.beat.eq(ddr.rvalid),
            self.bad_response.eq(ddr.rvalid & (ddr.rresp != Response.OKAY)),
        ]
        m.d.sync += written.eq(self.beat & last_beat)
        with m.If(self.beat):
            m.d.sync += beat.eq(Mux(last_beat, 0, beat + 1))
            with m.If(last_beat):
                m.d.sync += [
                    address_written.eq(word),
                    word.eq(Mux(word == config.slice_words - 1, 0, word + 1)),
                ]
        m.d.comb += [
            self.loaded.eq(written & (address_written == config.slice_words - 1)),
            self.loaded_slot.eq(queue[0]),
            self.done.eq((pointer == self.count) & self.quiet),
            self.quiet.eq(in_flight == 0),
        ]
        if not params.timing_only:
            shift = Signal(params.word_bits)
            with m.If(self.beat):
                m.d.sync += shift.eq(Cat(shift, ddr.rdata)[params.beat_bits:])
            m.d.comb += [
                self.write.en.eq(written), self.write.slot.eq(queue[0]),
                self.write.addr.eq(address_written), self.write.data.eq(shift),
            ]
        return m
