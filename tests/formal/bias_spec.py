"""Biases: a group's pairs get those of the word that the group ended with."""

from amaranth.hdl import Array, Signal

from tests.formal.sequencer_spec import SIZE
from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.compute.bias import GroupBias

PAIRS = 2


class GroupBiasSpec(Spec):
    """A group's word, its sums within the time that the block states, its pairs; the next group's word comes meanwhile."""

    def build(self) -> None:
        m, params = self.m, tiny(**SIZE | {"tile__mac_n": 2 * PAIRS})
        m.submodules.dut = dut = GroupBias(params)
        capture, load, word = self.free(1, "capture"), self.free(1, "load"), self.free(params.word_bits, "word")
        m.d.comb += [dut.capture.eq(capture), dut.load.eq(load), dut.word.eq(word)]
        bits = len(dut.gate_bias)
        # Cycles since a word came whose sums have not; pairs of the group before that are to come.
        age, left = Signal(range(dut.hold_cycles + 1)), Signal(range(PAIRS + 1))
        self.assume(~load | ((age != 0) & (left <= 1)))
        self.assume(load | (age != dut.hold_cycles))
        self.assume(~capture | load | (age == 0))
        with m.If(capture):
            m.d.sync += age.eq(1)
        with m.Elif(load):
            m.d.sync += age.eq(0)
        with m.Elif(age != 0):
            m.d.sync += age.eq(age + 1)
        came, current = Signal(2 * bits * PAIRS), Signal(2 * bits * PAIRS)
        with m.If(capture):
            m.d.sync += came.eq(word)
        with m.If(load):
            m.d.sync += [current.eq(came), left.eq(PAIRS)]
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        pair = Array(current[start:start + 2 * bits] for start in range(0, len(current), 2 * bits))[(PAIRS - left)[:1]]
        self.claim("pairs", "gate's is the lower half of a pair", dut.gate_bias == pair[:bits].as_signed(), when=left)
        self.claim("pairs", "up's is the upper half", dut.up_bias == pair[bits:].as_signed(), when=left)
        self.reach((age == 2) & (left == 1))
        self.reach((age == dut.hold_cycles) & load)
        self.reach(load & capture)


PROOFS = (
    Proof(name="bias-pairs", block="GroupBias", spec=GroupBiasSpec, group="pairs", size=f"groups of {PAIRS} pairs",
          assumes="a word's sums come one to four cycles after it, and no other word before them (the sequencer, tested)",
          says="each pair gets its two biases of the word that its group ended with, though the next word has come",
          mutants=("bias-not-held",), reach_bound=20),
)
