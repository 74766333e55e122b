"""Counts of clips: a token has as many as its passes had, however close these end, up to the end of what a count can say."""

from amaranth.hdl import Array, Cat, Mux, Signal

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.compute import clip_counter
from trajectile.hw.compute.clip_counter import ClipCounter

#: bits of a count: so few that its end is near
BITS = 2
#: two gate-up pairs and two groups of results per pass, two tokens
SIZE = {"layer__d_model": 4, "layer__d_ff": 2, "layer__experts": 2, "layer__top_k": 1, "tile__mac_k": 2, "tile__mac_n": 2,
        "tile__mac_t": 1, "tile__slices": 1, "tile__slots": 2, "tile__tokens": 2, "link__beat_bytes": 1,
        "ddr__bytes_per_cycle": 1}
PAIRS, GROUPS = 2, 2


class ClipsSpec(Spec):
    """Passes as the lane's pipeline has them: pairs, the token, groups; a half is used again when its count is stored.

    ``batches``: in flight.
    """

    batches = 1

    def build(self) -> None:
        clip_counter.CLIP_BITS = BITS  # type: ignore[attr-defined]
        m, params = self.m, tiny(tile__batches=self.batches, **SIZE)
        m.submodules.dut = dut = ClipCounter(params)
        names = ("note", "token", "note_half", "pair", "pair_half", "group_clipped", "group_half", "finish", "read",
                 "read_token", "batch", "read_batch")
        for name in names:
            port = getattr(dut, name)
            m.d.comb += port.eq(self.free(len(port), name))
        mark, of_batch = self.constant(params.token_bits, "mark"), self.constant(1, "of_batch")
        self.assume((dut.batch < self.batches) & (dut.read_batch < self.batches) & (of_batch < self.batches))
        # What is known of both halves: is its token known, for how long is it not to be used, whose is it, its clips.
        noted, tokens, batch_of, fresh, closed, pairs, groups = (
            Array(Signal(shape, name=f"{name}_{half}") for half in range(2)) for name, shape in (
                ("noted", 1), ("marked", 1), ("batch_of", 1), ("first", 1), ("closed", range(dut.stored_cycles + 1)),
                ("pairs", range(PAIRS + 1)), ("groups", range(GROUPS + 1))))
        met, expected = Signal(), Signal(BITS)  # of the marked token
        marked = self.wire((dut.token == mark) & (dut.batch == of_batch), "marked")
        under_way = [(noted[half] | (closed[half] != 0)) & (batch_of[half] == dut.read_batch) for half in range(2)]
        quiet = self.wire(~Cat(*under_way, dut.note & (dut.batch == dut.read_batch)).any(), "quiet")
        self.assume(~dut.read | quiet)
        half = dut.pair_half
        self.assume(~dut.pair | (~noted[half] & (closed[half] == 0) & (pairs[half] != PAIRS)))
        half = dut.note_half
        self.assume(~dut.note | (~noted[half] & (closed[half] == 0) & ~(dut.pair & (dut.pair_half == half))))
        m.d.comb += dut.fresh.eq(Mux(marked, ~met, self.free(1, "other_fresh")))
        half = dut.group_half
        self.assume(~(dut.group_clipped | dut.finish) | noted[half])
        self.assume(~dut.group_clipped | (groups[half] != GROUPS))
        # Passes end in the order in which their tokens were addressed.
        oldest = Signal()
        with m.If(dut.note & ~noted[~dut.note_half]):
            m.d.sync += oldest.eq(dut.note_half)
        with m.Elif(dut.finish):
            m.d.sync += oldest.eq(~dut.group_half)
        self.assume(~dut.finish | (dut.group_half == oldest))
        for number in range(2):
            mine = {name: self.wire(strobe & (of == number), f"{name}_of_{number}") for name, strobe, of in (
                ("pair", dut.pair, dut.pair_half), ("note", dut.note, dut.note_half),
                ("group", dut.group_clipped, dut.group_half),
                ("finish", dut.finish, dut.group_half))}
            with m.If(closed[number] != 0):
                m.d.sync += closed[number].eq(closed[number] - 1)
            m.d.sync += [pairs[number].eq(pairs[number] + mine["pair"]), groups[number].eq(groups[number] + mine["group"])]
            with m.If(mine["note"]):
                m.d.sync += [noted[number].eq(1), tokens[number].eq(marked), batch_of[number].eq(dut.batch),
                             fresh[number].eq(dut.fresh)]
            with m.If(mine["finish"]):
                total = Mux(fresh[number], 0, expected) + pairs[number] + groups[number] + mine["group"]
                m.d.sync += [noted[number].eq(0), closed[number].eq(dut.stored_cycles - 1), pairs[number].eq(0),
                             groups[number].eq(0)]
                with m.If(tokens[number]):
                    m.d.sync += expected.eq(Mux(total > 2**BITS - 1, 2**BITS - 1, total))
        with m.If(dut.note & marked):
            m.d.sync += met.eq(1)
        self.claim("sum", "as many as its passes had, or the most that a count can say", dut.clips == expected,
                   when=self.past(dut.read & met & (dut.read_token == mark) & (dut.read_batch == of_batch), "asked"))
        self.reach((expected == 2**BITS - 1) & quiet)
        self.reach((closed[0] == 5) & (closed[1] == 4))


class TwoBatchesSpec(ClipsSpec):
    """The same with passes of two batches in turn."""

    batches = 2


_ASSUMES = ("a half is used again `stored_cycles` after its pass has ended; counts of a batch are read after its last pass; "
            "passes end in the order of their notes (the sequencer and the lane's pipeline, tested)")

PROOFS = (
    Proof(name="clips-sum", block="ClipCounter", spec=ClipsSpec, group="sum", size=f"counts of {BITS} bits, two tokens",
          assumes=_ASSUMES,
          says="a token's count is the sum of its passes' clips, however close they end, and stops at its end",
          bound=20, mutants=("clips-collide", "clips-begin-again", "clips-remembered", "clips-counted-again"),
          reach_bound=40),
    Proof(name="clips-apart", block="ClipCounter", spec=TwoBatchesSpec, group="sum",
          size=f"counts of {BITS} bits, two tokens of two batches", assumes=_ASSUMES,
          says="the same of two batches, while counts of one are read and passes of the other end",
          bound=15, mutants=("clips-batch-mixed",), reach_bound=40),
)
