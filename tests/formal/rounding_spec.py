"""The rounding shifter: three stages are ``round(a, n)`` of docs/numerics.md, of every number by every shift."""

from amaranth.hdl import Mux, Signal, signed

from tests.formal.spec import Proof, Spec
from trajectile.hw.compute.rounding import coarse_shift, fine_shift, limited_amount, rounded

#: bits of the number, of the format that it is rounded to, and of the shift that is asked for
WIDTH, BITS, PLACES_BITS = 20, 9, 9


class RoundingSpec(Spec):
    """A number and its shift are registers; the stages have none between them here."""

    def build(self) -> None:
        m = self.m
        number, places = Signal(signed(WIDTH)), Signal(signed(PLACES_BITS))
        m.d.sync += [number.eq(self.free(WIDTH, "next_number")), places.eq(self.free(PLACES_BITS, "next_places"))]
        amount, below = limited_amount(places + 8)
        result = Signal(signed(BITS + 2))
        m.d.comb += result.eq(rounded(fine_shift(m, "a", coarse_shift(m, "a", number, amount, BITS), amount, BITS)))
        # The definition: one shift to the right, of the number with its half added, as wide as it takes.
        n = self.wire_signed(Mux(places < -8, -8, Mux(places > 55, 55, places)), "n")
        right, left = Signal(6), Signal(4)
        m.d.comb += [right.eq(Mux(n > 0, n, 0)), left.eq(Mux(n < 0, -n, 0))]
        half = (1 << right) >> 1
        exact = self.wire_signed(((number + half) >> right) << left, "exact")
        end = 2**(BITS - 1)
        self.claim("round", "what fits the format is rounded half up; what does not is seen to be beyond the end",
                   result == Mux(exact > end, end, Mux(exact < -end, -end, exact)))
        self.claim("round", "a shift further up than by eight places is told", below == (places < -8))
        self.reach((n == 55) & (number < 0) & (result == 0))
        self.reach((n == -8) & (result == -end))
        self.reach((n > 8) & (result == end - 1))

    def wire_signed(self, value: object, name: str) -> Signal:
        """A name for a signed value."""
        signal = Signal(value.shape(), name=name)
        self.m.d.comb += signal.eq(value)
        return signal


PROOFS = (
    Proof(name="rounding-exact", block="hw/compute/rounding.py", spec=RoundingSpec, group="round",
          size=f"numbers of {WIDTH} bits, rounded to {BITS}",
          says="three stages give `round(a, n)` with `n` limited to -8..55, or the format's end if that is nearer",
          prepare="", mutants=("rounding-truncates", "rounding-wraps", "rounding-narrow", "rounding-no-limit"), quick=True,
          mutant_bound=3, reach_bound=5),
)
