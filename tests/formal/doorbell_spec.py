"""The doorbell's check against arithmetic without limits: what it lets through lies inside of the windows."""

from amaranth.hdl import Cat, Mux, Signal, Value

from tests.formal.sender_spec import SIZE
from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.batch.layouts import PAGE_BITS
from trajectile.hw.host.codes import Refusal
from trajectile.hw.host.doorbell import DoorbellCheck


class DoorbellSpec(Spec):
    """Addresses and windows that change as they like; the verdict counts when they have stayed as they are long enough."""

    def build(self) -> None:
        m, params = self.m, tiny(**SIZE, tile__tokens=3)
        config = params.config
        m.submodules.dut = dut = DoorbellCheck(params)
        inputs = {name: self.free(len(getattr(dut, name)), name) for name in (
            "layer_base", "records", "results", "read_base", "read_size", "write_base", "write_size", "tokens", "bf16")}
        for name, value in inputs.items():
            m.d.comb += getattr(dut, name).eq(value)
        for name in ("read_size", "write_size"):
            self.assume(inputs[name] <= 1 << len(inputs[name]) - 1)
        self.assume(inputs["tokens"] <= config.tile.tokens)
        tokens, bf16 = inputs.pop("tokens"), inputs.pop("bf16")
        for cycle in range(dut.latency_cycles):
            tokens, bf16 = self.past(tokens, f"tokens_{cycle}"), self.past(bf16, f"bf16_{cycle}")
        steady = Value.cast(Cat(*inputs.values()))
        # How long they have been as they are; the registers of the block count as settled no sooner.
        age = Signal(range(dut.settled_cycles + 1))
        same = self.wire(steady == self.past(steady, "steady_before"), "same")
        settled = self.wire(same & (age >= dut.settled_cycles - 1), "settled")
        m.d.sync += age.eq(Mux(~same, 0, Mux(age == dut.settled_cycles, age, age + 1)))
        size, every = 1 << PAGE_BITS, 1 << params.address_bits
        aligned = Cat(inputs["layer_base"][:PAGE_BITS], inputs["records"][:params.io_low_bits],
                      inputs["results"][:params.io_low_bits]) == 0
        self.claim("good", "addresses are multiples of what they must be", aligned, when=self.good(dut, settled))
        self.claim("good", "the layer ends within DDR",
                   inputs["layer_base"] + config.channel_slices * config.slice_pitch_bytes <= every,
                   when=self.good(dut, settled))
        inside = []
        for name, begin, most, needed in (
                ("read", "records", config.record_bytes, 0),
                ("write", "results", Mux(bf16, config.result_bytes(2), config.result_bytes(4)), config.completion_bytes)):
            base, pages = inputs[f"{name}_base"], inputs[f"{name}_size"]
            after = self.wire(inputs[begin] + needed + tokens * most, f"{begin}_end")
            fits = self.wire((inputs[begin] >= base * size) & (after <= (base + pages) * size) & (after <= every),
                             f"{name}_fits")
            self.claim("good", f"what is to be {name} is inside of its window", fits, when=self.good(dut, settled))
            inside.append(fits)
            self.reach(fits & settled & (tokens == config.tile.tokens) & (base != 0))
            self.reach(~fits & settled)
        layer_fits = (inputs["layer_base"] >> PAGE_BITS) * size + config.channel_slices * config.slice_pitch_bytes <= every
        self.claim("all", "nothing else is refused", dut.refusal == Refusal.NONE,
                   when=settled & aligned & layer_fits & Cat(inside).all())

    def good(self, dut: DoorbellCheck, settled: Value) -> Value:
        """It would be queued."""
        return settled & (dut.refusal == Refusal.NONE)


#: cycles that show everything: the block has no loop, and no register of it knows more than the last four cycles
ALL_CYCLES = 7


def _proof(group: str, says: str, *mutants: str, **others: object) -> Proof:
    return Proof(name=f"doorbell-{group}", block="DoorbellCheck", spec=DoorbellSpec, group=group, says=says, mutants=mutants,
                 bound=ALL_CYCLES, size="40-bit addresses, beats of 32 bytes, 3 tokens",
                 assumes="addresses and windows have not changed for four cycles (an access takes as long)", **others)


PROOFS = (
    _proof("good", "what is let through is aligned and lies in its window as a whole, at every end of memory",
           "doorbell-no-completion", "doorbell-window-wraps", "doorbell-any-begin", reach_bound=11, quick=True),
    _proof("all", "what is aligned and lies in its windows is let through", "doorbell-last-beat"),
)
