"""The expert buffer: as long as a slot has one user at a time, a word is read as it was written."""

from amaranth.hdl import Signal, Value

from tests.formal.sender_spec import SIZE
from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.memory.expert_buffer import ExpertBuffer


class ExpertBufferSpec(Spec):
    """One word of one slot is followed; the receiver writes it in two pieces, the loader in four."""

    def build(self) -> None:
        m, params = self.m, tiny(**SIZE | {"tile__mac_n": 4, "link__beat_bytes": 2})
        m.submodules.dut = dut = ExpertBuffer(params)
        ports = {name: getattr(dut, name) for name in ("load", "receive", "compute", "send")}
        for name, port in ports.items():
            for signal in ("en", "slot", "addr", *(("data", "piece") if name in ("load", "receive") else ())):
                value = getattr(port, signal)
                m.d.comb += value.eq(self.free(len(Value.cast(value)), f"{name}_{signal}"))
            self.assume(port.addr < params.config.slice_words)
            if hasattr(port, "piece"):
                self.assume(port.piece < params.config.tile.word_bytes // (len(port.data) // 8))
        slot, word = self.constant(params.slot_bits, "slot"), self.constant(params.word_addr_bits, "word")
        uses = {name: self.wire(port.en & (port.slot == slot), f"{name}_uses") for name, port in ports.items()}
        # It holds for any slot, so it is enough to assume it of this one.
        self.assume(sum(uses.values()) <= 1)
        written, contents = Signal(params.config.tile.word_bytes), Signal(params.word_bits)  # one bit per byte
        for name in ("load", "receive"):
            port = ports[name]
            size = len(port.data)
            with m.If(uses[name] & (port.addr == word)):
                m.d.sync += [written.word_select(port.piece, size // 8).eq(~0),
                             contents.word_select(port.piece, size).eq(port.data)]
        for name in ("compute", "send"):
            port = ports[name]
            shows = Signal(name=f"{name}_shows")  # this word, and nobody has used the slot since
            others = sum(value for other, value in uses.items() if other != name)
            with m.If(port.en):
                m.d.sync += shows.eq(uses[name] & written.all() & (port.addr == word))
            with m.Elif(others):
                m.d.sync += shows.eq(0)
            expected = Signal(params.word_bits, name=f"{name}_expected")
            with m.If(port.en):
                m.d.sync += expected.eq(contents)
            self.claim("word", f"one cycle later and until the next read ({name})", port.data == expected, when=shows)
            self.reach(shows)


PROOFS = (
    Proof(name="buffer-word", block="ExpertBuffer", spec=ExpertBufferSpec, group="word", size="2 slots, 2 words of 32 bits",
          assumes="a slot has one user at a time (engine-port with loader-slot, receiver-write, sequencer-slot, sender-slot)",
          says="a word is read as it was written last, by either reader, and stays at the port until its next read",
          mutants=("buffer-wrong-slot", "buffer-shows-present", "buffer-wrong-lane"), reach_bound=10),
)
