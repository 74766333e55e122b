"""The expert buffer: one single-port SRAM a slot, shared by its writers and readers in turn."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.lib.emit import Block, place
from hw.lib.sram import Sram1RW
from hw.params import Params


class SlotWrite(wiring.Signature):
    """Write port: one weight word a cycle."""

    def __init__(self, params: Params):
        super().__init__({
            "en": Out(1),  #: write in this cycle
            "slot": Out(params.slot_bits),
            "addr": Out(params.word_addr_bits),  #: word of the slice
            "data": Out(params.word_bits),
        })


class SlotRead(wiring.Signature):
    """Read port: one weight word a cycle, one cycle later; ``data`` holds until the next read."""

    def __init__(self, params: Params):
        super().__init__({
            "en": Out(1),  #: read in this cycle
            "slot": Out(params.slot_bits),
            "addr": Out(params.word_addr_bits),  #: word of the slice
            "data": In(params.word_bits),  #: valid one cycle after ``en``
        })


class ExpertBuffer(Block):
    """``slots`` SRAMs of one micro-slice each.

    Two writers (loader, receiver) and two readers (MAC array, sender) work at the same time on different slots: the rules
    see to it that a slot has one user at a time, so there is no arbitration and every port has its full rate.

    Latency: one cycle to read. Storage: ``slots * slice_words * word_bits`` bits of single-port SRAM.
    """

    latency_cycles = 1

    def __init__(self, params: Params):
        self.params = params
        super().__init__({
            "load": In(SlotWrite(params)),  #: from the loader
            "receive": In(SlotWrite(params)),  #: from the receiver
            "compute": In(SlotRead(params)),  #: to the MAC array
            "send": In(SlotRead(params)),  #: to the sender
        })

    def elaborate(self, platform: object) -> Module:
        """A slot's SRAM follows whichever port names it."""
        m = Module()
        params = self.params
        readers = {"compute": self.compute, "send": self.send}
        shown = {name: Signal(params.slot_bits, name=f"{name}_shown") for name in readers}
        for name, port in readers.items():
            with m.If(port.en):
                m.d.sync += shown[name].eq(port.slot)
        for number in range(params.config.tile.slots):
            sram = Sram1RW(depth=params.config.slice_words, width=params.word_bits)
            place(m, platform, **{f"slot_{number}": sram})
            written = {name: Signal(name=f"{name}_writes_{number}") for name in ("load", "receive")}
            m.d.comb += [
                written["load"].eq(self.load.en & (self.load.slot == number)),
                written["receive"].eq(self.receive.en & (self.receive.slot == number)),
                sram.we.eq(written["load"] | written["receive"]),
                sram.en.eq(sram.we | (self.compute.en & (self.compute.slot == number))
                           | (self.send.en & (self.send.slot == number))),
                sram.wdata.eq(self.load.data),
                sram.addr.eq(self.compute.addr),
            ]
            with m.If(written["receive"]):
                m.d.comb += [sram.wdata.eq(self.receive.data), sram.addr.eq(self.receive.addr)]
            with m.Elif(written["load"]):
                m.d.comb += sram.addr.eq(self.load.addr)
            with m.Elif(self.send.en & (self.send.slot == number)):
                m.d.comb += sram.addr.eq(self.send.addr)
            for name, port in readers.items():
                with m.If(shown[name] == number):
                    m.d.comb += port.data.eq(sram.rdata)
        return m
