"""The expert buffer: as long as a slot has one user at a time, a word is read as it was written."""

from amaranth.hdl import Signal, Value

from tests.formal.sender_spec import SIZE
from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.memory.expert_buffer import ExpertBuffer


class ExpertBufferSpec(Spec):
    """One word of one slot is followed; the receiver writes it in two pieces, the loader in four, or in one and two."""

    changes: dict = SIZE | {"layer__d_model": 4, "tile__mac_n": 4, "link__beat_bytes": 4, "parameter_bytes": 3}
    #: how much later everything happens
    later = 0

    def build(self) -> None:
        m, params = self.m, tiny(**self.changes)
        config = params.config
        first = {"load": config.parameter_beats, "receive": config.parameter_flits}  # pieces of the first word
        if config.parameter_words > 1:
            first = {"load": config.word_beats, "receive": config.word_flits}
        m.submodules.dut = dut = ExpertBuffer(params)
        ports = {name: getattr(dut, name) for name in ("load", "receive", "compute", "send")}
        for name, port in ports.items():
            for signal in ("en", "slot", "addr", *(("data", "piece") if name in ("load", "receive") else ())):
                value = getattr(port, signal)
                m.d.comb += value.eq(self.free(len(Value.cast(value)), f"{name}_{signal}"))
            self.assume(port.addr < params.config.slice_words)
            if hasattr(port, "piece"):
                self.assume(port.piece < params.config.tile.word_bytes // (len(port.data) // 8))
                self.assume((port.addr != 0) | (port.piece < first[name]))
        slot, word = self.constant(params.slot_bits, "slot"), self.constant(params.word_addr_bits, "word")
        m.d.comb += dut.computes.eq(self.free(1, "computes"))
        self.assume(~dut.compute.en | dut.computes)
        uses = {name: self.wire(port.en & (port.slot == slot), f"{name}_uses") for name, port in ports.items()}
        # It holds for any slot, so it is enough to assume it of this one.
        self.assume(sum(uses.values()) <= 1)
        for name in ("load", "receive", "send"):
            self.assume(~(uses[name] & dut.computes & (dut.compute.slot == slot)))
        written, contents = Signal(params.config.tile.word_bytes), Signal(params.word_bits)  # one bit per byte
        for name in ("load", "receive"):
            port = ports[name]
            size = len(port.data)
            with m.If(uses[name] & (port.addr == word)):
                m.d.sync += [written.word_select(port.piece, size // 8).eq(~0),
                             contents.word_select(port.piece, size).eq(port.data)]
                with m.If((word == 0) & (port.piece == first[name] - 1)):
                    for piece in range(first[name], params.word_bits // size):
                        m.d.sync += [written.word_select(piece, size // 8).eq(~0),
                                     contents.word_select(piece, size).eq(port.data)]
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
            for stage in range(self.later):
                shows, expected = self.past(shows, f"{name}_{stage}"), self.past(expected, f"{name}_expected_{stage}")
            self.claim("word", f"as long after the read as it takes, until the next read's comes ({name})",
                       port.data == expected, when=shows)
            self.reach(shows)


class WholeBufferSpec(ExpertBufferSpec):
    """The same where all words are whole."""

    changes = ExpertBufferSpec.changes | {"parameter_bytes": None}


class RegisteredBufferSpec(ExpertBufferSpec):
    """The same with registers before the SRAM."""

    changes = ExpertBufferSpec.changes | {"tile__register_slots": True}
    later = 1


PROOFS = (
    Proof(name="buffer-word", block="ExpertBuffer", spec=ExpertBufferSpec, group="word",
          size="2 slots, 4 words of 64 bits, the first of half a word",
          assumes="a slot has one user at a time (engine-port with loader-slot, receiver-write, sequencer-slot, sender-slot)",
          says="a word is read as it was written last, by either reader, and stays at the port until its next read; a short "
          "first word fills all of its lanes",
          mutants=("buffer-wrong-slot", "buffer-shows-present", "buffer-wrong-lane", "buffer-lanes-left"), reach_bound=10),
    Proof(name="buffer-word-whole", block="ExpertBuffer", spec=WholeBufferSpec, group="word",
          size="2 slots, 5 words of 64 bits", assumes="as buffer-word", says="the same where all words are whole",
          mutants=("buffer-wrong-lane",), reach_bound=12),
    Proof(name="buffer-word-registered", block="ExpertBuffer", spec=RegisteredBufferSpec, group="word",
          size="2 slots, 4 words of 64 bits, the first of half a word", assumes="as buffer-word",
          says="the same, a cycle later, with registers before the SRAM",
          mutants=("buffer-data-early", "buffer-shown-early"), reach_bound=12),
)
