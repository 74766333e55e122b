"""The FIFO for flits that pass over a tile."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.sram import Sram1R1W


class CreditFifo(Block):
    """Takes every flit that arrives, and returns a credit when a flit leaves. The far end spends a credit on every flit, so
    the FIFO always has room.

    Latency: a flit that arrives in cycle c can leave in c+1 (``latency_cycles`` = 1). Its credit is returned in the cycle
    after it has left (``credit_cycles`` = 1). Throughput: one flit per cycle. Storage: ``link_credits`` flits of two-port
    SRAM, and one flit in flip-flops.
    """

    latency_cycles = 1
    credit_cycles = 1

    write: Signal
    flit: data.View
    head: stream.Interface
    credit: Signal

    def __init__(self, params: LinkLayouts, layout: data.StructLayout | None = None, depth: int = 0):
        self.params = params
        self.depth = depth or params.config.link_credits
        self.layout = layout or params.flit_layout
        super().__init__({
            "write": In(1),  #: a flit comes
            "flit": In(self.layout),
            "head": Out(stream.Signature(self.layout)),  #: the oldest flit
            "credit": Out(1),  #: a flit left in the cycle before
        })

    def elaborate(self, platform: object) -> Module:
        """Flits go through the SRAM only while the output register is taken."""
        m = Module()
        sram = Sram1R1W(depth=self.depth, width=self.layout.size)
        place(m, platform, sram=sram)
        head, depth = self.head, self.depth
        write_at = Signal(range(depth))
        read_at = Signal(range(depth))
        waiting = Signal(range(depth + 1))  # flits in the SRAM that were not read
        fetched = Signal()  # a flit stands at the SRAM's output
        room = ~head.valid | head.ready  # the output register takes a flit in this cycle
        bypass = self.write & room & ~fetched & (waiting == 0)
        m.d.comb += [
            sram.wen.eq(self.write & ~bypass), sram.waddr.eq(write_at), sram.wdata.eq(self.flit),
            sram.ren.eq((waiting != 0) & (~fetched | room)), sram.raddr.eq(read_at),
        ]
        m.d.sync += [
            self.credit.eq(head.valid & head.ready),
            waiting.eq(waiting + sram.wen - sram.ren),
        ]
        with m.If(sram.wen):
            m.d.sync += write_at.eq(Mux(write_at == depth - 1, 0, write_at + 1))
        with m.If(sram.ren):
            m.d.sync += read_at.eq(Mux(read_at == depth - 1, 0, read_at + 1))
        with m.If(sram.ren):
            m.d.sync += fetched.eq(1)
        with m.Elif(room):
            m.d.sync += fetched.eq(0)
        with m.If(room):
            m.d.sync += head.valid.eq(fetched | bypass)
            with m.If(fetched):
                m.d.sync += head.payload.eq(sram.rdata)
            with m.Elif(bypass):  # only what is a flit: a frame of a link layer has the contents in any case
                m.d.sync += head.payload.eq(self.flit)
        return m
