"""Whether a batch may be queued: its addresses, and the memory that it reads and writes, against what the host allows."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import enum
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from trajectile.hw.batch.layouts import PAGE_BITS, BatchLayouts
from trajectile.hw.host.codes import Refusal
from trajectile.hw.lib.block import Block
from trajectile.hw.lib.limits import exceeds
from trajectile.sw_model.config import ceil_div

#: bytes of a result by its format: 0 int32, 1 bf16
RESULT_FORMATS = (4, 2)


class DoorbellCheck(Block):
    """Computes the regions of a batch without overflow, and compares them with two windows.

    Reads: ``tokens`` records from ``records`` on. Writes: a completion record and the results of ``tokens`` tokens from
    ``results`` on. A region that is empty still has to begin in its window, or at its end. A window that is said to go on
    after the last address ends there.

    Latency: ``refusal`` judges ``tokens`` and ``bf16`` of two cycles before (``latency_cycles`` = 2); by then addresses and
    windows must have been as they are for ``settled_cycles`` = 4 cycles. Storage: the room in each window, in three steps;
    the verdict.
    """

    latency_cycles = 2
    settled_cycles = 4

    layer_base: Signal
    records: Signal
    results: Signal
    read_base: Signal
    read_size: Signal
    write_base: Signal
    write_size: Signal
    tokens: Signal
    bf16: Signal
    refusal: enum.EnumView

    def __init__(self, params: BatchLayouts):
        self.params, self.config = params, params.config
        page_bits = params.address_bits - PAGE_BITS
        super().__init__({
            "layer_base": In(params.address_bits),  #: byte address of row 0 of the layer in the DDR channel
            "records": In(params.address_bits),  #: byte address of the token records
            "results": In(params.address_bits),  #: byte address of the completion record, which results follow
            "read_base": In(page_bits),  #: first page of 4 KiB that may be read
            "read_size": In(page_bits + 1),  #: how many may
            "write_base": In(page_bits),  #: first page that may be written
            "write_size": In(page_bits + 1),  #: how many may
            "tokens": In(params.batch_token_bits),  #: tokens of the batch in this tile; legal
            "bf16": In(1),  #: results are bf16
            "refusal": Out(Refusal),  #: why the batch may not be queued; NONE: it may
        })

    def elaborate(self, platform: object) -> Module:
        """Sizes in beats of the io port; a window's room is cut to the most that can be needed."""
        m = Module()
        config, params = self.config, self.params
        beat, low = config.io.bytes_per_cycle, params.io_low_bits
        record = config.record_bytes // beat
        completion = config.completion_bytes // beat
        result = [config.result_bytes(size) // beat for size in RESULT_FORMATS]
        most_read, most_written = (bits_for(size + config.tile.tokens * each) for size, each in
                                   ((0, record), (completion, max(result))))
        read = Signal(most_read)
        written = Signal(most_written)
        m.d.sync += [
            read.eq(self.tokens * record),
            written.eq(completion + Mux(self.bf16, self.tokens * result[1], self.tokens * result[0])),
        ]
        last_layer = (1 << params.address_bits - PAGE_BITS) - ceil_div(
            config.channel_slices * config.slice_pitch_bytes, 1 << PAGE_BITS)
        unaligned = Signal()
        too_high = Signal()
        m.d.sync += [
            unaligned.eq(self.layer_base[:PAGE_BITS].any() | self.records[:low].any() | self.results[:low].any()),
            too_high.eq(exceeds(self.layer_base[PAGE_BITS:], last_layer)),
        ]
        reads = self._room(m, "read", self.records[low:], self.read_base, self.read_size, read)
        writes = self._room(m, "write", self.results[low:], self.write_base, self.write_size, written)
        m.d.sync += self.refusal.eq(Refusal.NONE)
        for holds, code in ((writes, Refusal.WRITE_WINDOW), (reads, Refusal.READ_WINDOW), (too_high, Refusal.LAYER),
                            (unaligned, Refusal.ALIGNMENT)):
            with m.If(holds):
                m.d.sync += self.refusal.eq(code)
        return m

    def _room(self, m: Module, name: str, begin: Value, base: Value, size: Value, needed: Signal) -> Value:
        """Whether so many beats from ``begin`` on are not all in the window."""
        page = PAGE_BITS - self.params.io_low_bits  # bits of a beat's number within a page
        end = Signal(len(base) + 1, name=f"{name}_end")
        total = base + size
        every = 1 << len(base)
        left = Signal(range(-every << page, (every << page) + 1), name=f"{name}_left")
        below = Signal(name=f"{name}_below")
        room = Signal.like(needed, name=f"{name}_room")
        outside = Signal(name=f"{name}_outside")
        m.d.sync += [
            end.eq(Mux(total[len(base):].any(), every, total)),
            left.eq((end << page) - begin),
            below.eq(begin < base << page),
            room.eq(Mux(left[len(room):].any(), ~0, left)),
            outside.eq(below | (left < 0)),
        ]
        return outside | (needed > room)
