"""The expert buffer: one single-port SRAM a slot, shared by its writers and readers in turn."""

from collections.abc import Mapping, Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.chain import chain
from trajectile.hw.lib.signature import NamedSignature
from trajectile.hw.lib.sram import Sram1RW
from trajectile.hw.memory.code import stored_bits
from trajectile.hw.memory.word import decoded, encoded, flag_members, show_flags
from trajectile.hw.widths import Widths
from trajectile.sw_model.config import TileConfig, ceil_div


def word_cycles(tile: TileConfig) -> int:
    """From a word's address to the word."""
    return 1 + tile.register_slots


class SlotWrite(NamedSignature):
    """Write port: a weight word comes in ``pieces`` of ``piece_bytes`` each, one piece per cycle.

    The word ends within the last piece, or with it. The bits above its end are ignored. A slice's first word may come in
    fewer pieces (``Widths.first_word_beats`` and ``first_word_flits``); the last of these is repeated over the rest of it.
    """

    class Interface(wiring.PureInterface):
        en: Signal
        slot: Signal
        addr: Signal
        piece: Signal
        data: Signal

    def __init__(self, params: Widths, pieces: int, piece_bytes: int):
        super().__init__({
            "en": Out(1),  #: write in this cycle
            "slot": Out(params.slot_bits),
            "addr": Out(params.word_addr_bits),  #: word of the slice
            "piece": Out(bits_for(pieces - 1)),  #: which piece of the word; 0 is lowest
            "data": Out(8 * piece_bytes),
        })


class SlotRead(NamedSignature):
    """Read port: one weight word per cycle, ``word_cycles`` later; ``data`` holds until the next read's."""

    class Interface(wiring.PureInterface):
        en: Signal
        slot: Signal
        addr: Signal
        data: Signal

    def __init__(self, params: Widths):
        super().__init__({
            "en": Out(1),  #: read in this cycle
            "slot": Out(params.slot_bits),
            "addr": Out(params.word_addr_bits),  #: word of the slice
            "data": In(params.word_bits),  #: valid one cycle after ``en``, or two
        })


class ExpertBuffer(Block):
    """``slots`` SRAMs of one micro-slice each.

    Two writers (loader, receiver) and two readers (MAC array, sender) work at the same time on different slots. The rules
    ensure that a slot has one user at a time, so there is no arbitration, and every port has its full rate. Readers take
    whole words. DDR beats and flits are written as they arrive, each into its lanes of the word.

    With ``tile.protect`` every lane has check bits: an encoder at each write port, a decoder at each read port, and two more
    outputs (docs/memory.md). Every lane of a word that is read has been written: that is why a short first word fills up.

    With ``tile.register_slots`` the SRAM of each slot has registers for its address and enables, and so has what is written.
    Everything happens a cycle later, in the same order. In an FPGA a wide slot is hundreds of small memories.

    Latency: one cycle to read, or two with registers (``latency_cycles``); ``corrected`` and ``error`` a cycle after the word
    (``flag_cycles``). Storage: ``slots * slice_words`` words of ``word_bits`` and their check bits, in single-port SRAM.
    """

    load: SlotWrite.Interface
    receive: SlotWrite.Interface
    compute: SlotRead.Interface
    computes: Signal
    send: SlotRead.Interface
    corrected: Signal
    error: Signal

    def __init__(self, params: Widths):
        self.params = params
        config = params.config
        self.latency_cycles = word_cycles(config.tile)
        self.flag_cycles = self.latency_cycles + 1
        #: lanes of a word
        self.lanes = config.tile.word_bytes // config.lane_bytes
        super().__init__({
            "load": In(SlotWrite(params, config.word_beats, config.ddr.bytes_per_cycle)),  #: from the loader
            "receive": In(SlotWrite(params, config.word_flits, config.flit_bytes)),  #: from the receiver
            "compute": In(SlotRead(params)),  #: to the MAC array
            "computes": In(1),  #: the MAC array has the slot of ``compute`` to itself; it reads only then
            "send": In(SlotRead(params)),  #: to the sender
            **flag_members(params.protect),
        })

    def elaborate(self, platform: object) -> Module:
        """A slot's SRAM follows whichever port names it."""
        m = Module()
        params = self.params
        protect, lanes = params.protect, self.lanes
        width = stored_bits(protect, params.word_bits, lanes)
        load_lanes, load_data = self._spread(m, platform, "load", self.load, params.first_word_beats)
        receive_lanes, receive_data = self._spread(m, platform, "receive", self.receive, params.first_word_flits)
        readers = {"compute": self.compute, "send": self.send}
        shown = {name: Signal(params.slot_bits, name=f"{name}_shown") for name in readers}
        stored = {name: Signal(width, name=f"{name}_stored") for name in readers}
        words = []
        for name, port in readers.items():
            reads = self._registered(m, f"{name}_reads", port.en, reset_less=False)
            slot = self._registered(m, f"{name}_slot", port.slot)
            with m.If(reads):
                m.d.sync += shown[name].eq(slot)
            words.append(decoded(m, platform, protect, stored[name], params.word_bits, f"{name}_decoder", read=reads,
                                 lanes=lanes))
            m.d.comb += port.data.eq(words[-1].data)
        show_flags(m, self, protect, words)
        srams = [Sram1RW(depth=params.config.slice_words, width=width, lanes=lanes) for _ in range(params.config.tile.slots)]
        for number, sram in enumerate(srams):
            place(m, platform, {f"slot_{number}": sram})
            written = {name: Signal(name=f"{name}_writes_{number}") for name in ("load", "receive")}
            address = Signal(params.word_addr_bits, name=f"address_{number}")
            accessed = (written["load"] | written["receive"] | (self.compute.en & (self.compute.slot == number))
                        | (self.send.en & (self.send.slot == number)))
            lanes_written = Mux(written["load"], load_lanes, 0) | Mux(written["receive"], receive_lanes, 0)
            m.d.comb += [
                written["load"].eq(self.load.en & (self.load.slot == number)),
                written["receive"].eq(self.receive.en & (self.receive.slot == number)),
                address.eq(self.send.addr),  # the sender says last that it reads
                sram.en.eq(self._registered(m, f"accessed_{number}", accessed, reset_less=False)),
                sram.we.eq(self._registered(m, f"lanes_written_{number}", lanes_written)),
                sram.addr.eq(self._registered(m, f"address_{number}", address)),
                sram.wdata.eq(load_data),
            ]
            with m.If(written["receive"]):
                m.d.comb += address.eq(self.receive.addr)
            with m.Elif(written["load"]):
                m.d.comb += address.eq(self.load.addr)
            with m.Elif(self.computes & (self.compute.slot == number)):  # whether it reads is known late
                m.d.comb += address.eq(self.compute.addr)
            with m.If(self._registered(m, f"received_{number}", written["receive"])):
                m.d.comb += sram.wdata.eq(receive_data)
        self._show(m, srams, stored, shown)
        return m

    def _registered(self, m: Module, name: str, value: Value, *, reset_less: bool = True) -> Value:
        """What the SRAM takes: with ``tile.register_slots`` a cycle later."""
        return Value.cast(chain(m, name, value, range(1, self.latency_cycles), reset_less=reset_less)[-1])

    def _spread(self, m: Module, platform: object, name: str, port: SlotWrite.Interface,
                first_pieces: int) -> tuple[Value, Value]:
        """The lanes of a writer's piece, and a word as it is stored that has the piece wherever it may belong.

        ``first_pieces``: those of a slice's first word.
        """
        of_piece = len(port.data) // self.params.lane_width
        data = encoded(m, platform, self.params.protect, port.data, f"{name}_encoder", lanes=of_piece)
        data = self._registered(m, f"{name}_piece", data)
        pieces = ceil_div(self.lanes, of_piece)
        if first_pieces < pieces:
            fills = Signal(name=f"{name}_fills")
            m.d.comb += fills.eq(port.en & (port.addr == 0) & (port.piece == first_pieces - 1))
        which = Cat(((port.piece == piece) | (fills if piece >= first_pieces else 0)).replicate(of_piece)
                    for piece in range(pieces))
        stored = stored_bits(self.params.protect, self.params.word_bits, self.lanes)
        return which[:self.lanes], data.replicate(pieces)[:stored]

    def _show(self, m: Module, srams: Sequence[Sram1RW], stored: Mapping[str, Signal], shown: Mapping[str, Signal]) -> None:
        """Each reader gets the word of the slot that it has read last."""
        for name, word in stored.items():
            # one case of many: a chain of conditions would become a chain of multiplexers
            with m.Switch(shown[name]):
                for number, sram in enumerate(srams):
                    with m.Case(number):
                        m.d.comb += word.eq(sram.rdata)
