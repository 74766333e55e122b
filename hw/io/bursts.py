"""A contiguous region as AXI4 bursts."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.io.ports import RegionPort
from trajectile.hw.lib.block import Block


class BurstAddresses(Block):
    """Cuts a region into bursts for an address channel. Every burst but the last ends at a *line*: a multiple of 4 KiB, or of
    256 beats if those are less.

    A burst that is offered stays until it is taken. With ``stop`` no other follows until the next ``start``.

    Latency: ``region.start`` in cycle c offers the first burst in c+1 (``latency_cycles`` = 1). Throughput: one burst per
    cycle. Storage: the next address, lines that are left, the end within the last one.
    """

    latency_cycles = 1

    region: RegionPort.Interface
    stop: Signal
    hold: Signal
    bursts: stream.Interface
    asking: Signal
    last: Signal
    ended: Signal
    last_line_beats: Signal

    def __init__(self, params: BatchLayouts):
        self.params = params
        super().__init__({
            "region": In(RegionPort(params)),  #: only when not ``asking``
            "stop": In(1),  #: give up what is not offered yet; not with ``start``
            "hold": In(1),  #: offer none now; rises only after one was taken
            "bursts": Out(stream.Signature(data.StructLayout({
                "address": params.address_bits,  # of the first byte
                "len": 8,  # beats less one
            }))),
            "asking": Out(1),  #: some bursts were not taken yet
            "last": Out(1),  #: the next burst is the region's last
            "ended": Out(1),  #: the region's last burst was taken
            "last_line_beats": Out(exact_log2(params.config.io.burst_beats)),  #: of the region; 0: all of the line
        })

    def elaborate(self, platform: object) -> Module:
        """Lines are counted down; the first begins anywhere, the last ends anywhere."""
        m = Module()
        params, region, bursts = self.params, self.region, self.bursts
        line_bits = exact_log2(params.config.io.burst_beats)
        line = Signal(params.io_address_bits - line_bits)
        place = Signal(line_bits)  # of the next burst in its line
        end_of_region = Signal(range(2**line_bits + 2**params.region_bits))  # from the first line on
        lines = Signal(len(end_of_region) - line_bits)  # that begin after this one, up to the end
        m.d.comb += [
            end_of_region.eq(region.address[:line_bits] + region.beats),
            self.last.eq((lines == 0) | ((lines == 1) & (self.last_line_beats == 0))),
            bursts.valid.eq(self.asking & ~self.hold),
            bursts.payload.address.eq(Cat(Const(0, params.io_low_bits), place, line)),
            bursts.payload.len.eq((Mux(self.last, self.last_line_beats, 0) + ~place)[:line_bits]),
        ]
        with m.If(region.start):
            m.d.sync += [
                Cat(place, line).eq(region.address), Cat(self.last_line_beats, lines).eq(end_of_region), self.asking.eq(1),
                self.ended.eq(0),
            ]
        with m.Elif(bursts.valid & bursts.ready):
            m.d.sync += [
                line.eq(line + 1), place.eq(0), lines.eq(lines - 1),
                self.asking.eq(~self.last & ~self.stop), self.ended.eq(self.last),
            ]
        with m.Elif(self.stop & ~bursts.valid):
            m.d.sync += self.asking.eq(0)
        return m
