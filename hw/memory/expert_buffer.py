"""The expert buffer: one single-port SRAM a slot, shared by its writers and readers in turn."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.lib.emit import Block, place
from hw.lib.sram import Sram1RW
from hw.memory.code import stored_bits
from hw.memory.word import decoded, encoded, flag_members, show_flags
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

    With ``tile.protect`` every word has check bits: an encoder at each write port, a decoder at each read port, and two more
    outputs (docs/memory.md).

    Latency: one cycle to read; ``corrected`` and ``error`` two cycles after ``en``. Storage: ``slots * slice_words`` words of
    ``word_bits`` and their check bits, in single-port SRAM.
    """

    latency_cycles = 1

    def __init__(self, params: Params):
        self.params = params
        super().__init__({
            "load": In(SlotWrite(params)),  #: from the loader
            "receive": In(SlotWrite(params)),  #: from the receiver
            "compute": In(SlotRead(params)),  #: to the MAC array
            "send": In(SlotRead(params)),  #: to the sender
            **flag_members(params.protect),
        })

    def elaborate(self, platform: object) -> Module:
        """A slot's SRAM follows whichever port names it."""
        m = Module()
        params = self.params
        protect = params.protect
        load_data = encoded(m, platform, protect, self.load.data, "load_encoder")
        receive_data = encoded(m, platform, protect, self.receive.data, "receive_encoder")
        readers = {"compute": self.compute, "send": self.send}
        shown = {name: Signal(params.slot_bits, name=f"{name}_shown") for name in readers}
        stored = {name: Signal(stored_bits(protect, params.word_bits), name=f"{name}_stored") for name in readers}
        words = []
        for name, port in readers.items():
            with m.If(port.en):
                m.d.sync += shown[name].eq(port.slot)
            words.append(decoded(m, platform, protect, stored[name], params.word_bits, f"{name}_decoder", read=port.en))
            m.d.comb += port.data.eq(words[-1].data)
        show_flags(m, self, protect, words)
        srams = [Sram1RW(depth=params.config.slice_words, width=stored_bits(protect, params.word_bits))
                 for _ in range(params.config.tile.slots)]
        for number, sram in enumerate(srams):
            place(m, platform, **{f"slot_{number}": sram})
            written = {name: Signal(name=f"{name}_writes_{number}") for name in ("load", "receive")}
            m.d.comb += [
                written["load"].eq(self.load.en & (self.load.slot == number)),
                written["receive"].eq(self.receive.en & (self.receive.slot == number)),
                sram.we.eq(written["load"] | written["receive"]),
                sram.en.eq(sram.we | (self.compute.en & (self.compute.slot == number))
                           | (self.send.en & (self.send.slot == number))),
                sram.wdata.eq(load_data),
                sram.addr.eq(self.compute.addr),
            ]
            with m.If(written["receive"]):
                m.d.comb += [sram.wdata.eq(receive_data), sram.addr.eq(self.receive.addr)]
            with m.Elif(written["load"]):
                m.d.comb += sram.addr.eq(self.load.addr)
            with m.Elif(self.send.en & (self.send.slot == number)):
                m.d.comb += sram.addr.eq(self.send.addr)
        for name, word in stored.items():
            # one case of many: a chain of conditions would become a chain of multiplexers
            with m.Switch(shown[name]):
                for number, sram in enumerate(srams):
                    with m.Case(number):
                        m.d.comb += word.eq(sram.rdata)
        return m
