"""What every formal specification is made of: a block, its environment, and claims about it in groups."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields

from amaranth.hdl import Assert, Assume, Cat, ClockDomain, Elaboratable, Module, Signal, Value
from amaranth.hdl._ast import AnyConst, AnySeq  # the public names of these two are gone, the RTLIL cells are not

from tests.support.configurations import small
from trajectile.hw.params import Params
from trajectile.sw_model.config import Config, ceil_div


class Spec(Elaboratable):
    """One block in its environment. Subclasses write :meth:`build`.

    Only the claims of ``group`` become assertions, so that each group is proved, and each mutant caught, on its own. In the
    group "reach" the claims are those of :meth:`reach`, turned round: its counterexample is a run in which everything
    that is named there happens, which shows that the assumptions leave room for it.

    Registers start at their initial values and are never reset; SRAM contents are whatever they are.
    """

    def __init__(self, group: str):
        self.group = group
        self.m = Module()
        self.domain = ClockDomain("sync", reset_less=True)
        self.claims: set[str] = set()
        self._reached: list[Signal] = []

    def build(self) -> None:
        """Place the block, drive its inputs, claim."""
        raise NotImplementedError

    def elaborate(self, platform: object) -> Module:
        """The block and everything about it; the clock is the only port."""
        self.m.domains.sync = self.domain
        self.build()
        if self.group == "reach":
            self.m.d.comb += Assert(~Cat(self._reached).all(), "reach")
        elif self.group not in self.claims:
            raise KeyError(f"{type(self).__name__} has no claims in group {self.group!r}, only {sorted(self.claims)}")
        return self.m

    def free(self, shape: object, name: str) -> Signal:
        """An input of the block: any value in any cycle."""
        signal = Signal(shape, name=name)
        self.m.d.comb += Value.cast(signal).eq(AnySeq(len(Value.cast(signal))))
        return signal

    def constant(self, shape: object, name: str) -> Signal:
        """Any value, the same in all cycles."""
        signal = Signal(shape, name=name)
        self.m.d.comb += Value.cast(signal).eq(AnyConst(len(Value.cast(signal))))
        return signal

    def past(self, value: Value, name: str, init: int = 0) -> Signal:
        """The value one cycle before."""
        signal = Signal(len(Value.cast(value)), name=name, init=init)
        self.m.d.sync += signal.eq(value)
        return signal

    def wire(self, value: Value, name: str) -> Signal:
        """A name for a value, which shows in traces."""
        signal = Signal(len(Value.cast(value)), name=name)
        self.m.d.comb += signal.eq(value)
        return signal

    def assume(self, holds: Value) -> None:
        """The environment keeps to this in every cycle."""
        self.m.d.comb += Assume(holds)

    def claim(self, group: str, says: str, holds: Value, *, when: Value | int = 1) -> None:
        """The block keeps to this in every cycle in which ``when`` holds."""
        self.claims.add(group)
        if group == self.group:
            self.m.d.comb += Assert(~Value.cast(when).any() | Value.cast(holds).any(), says)

    def reach(self, happens: Value) -> None:
        """It can happen, in one run with everything else that is named so."""
        if self.group == "reach":
            done = Signal(name=f"reached_{len(self._reached)}")
            self.m.d.sync += done.eq(done | happens)
            self._reached.append(done)


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One line of the table: a group of claims of one spec, and how it is proved."""

    name: str
    #: block under proof, as the documentation names it
    block: str
    spec: Callable[[str], Spec]
    group: str
    #: what is proved, in words
    says: str
    #: what is assumed of the environment, and who guarantees it
    assumes: str = ""
    #: sizes of the instance
    size: str = ""
    #: cycles, where it is a bounded proof; None for a proof by induction (property directed reachability)
    bound: int | None = None
    #: commands of ABC before the engine
    prepare: str = "scorr"
    #: registers that take any value in any cycle (module/signal in the RTLIL): less state, and more behaviours than there are
    cuts: tuple[str, ...] = ()
    #: names of the mutants that must violate it
    mutants: tuple[str, ...]
    #: cycles within which they do
    mutant_bound: int = 30
    #: part of plain ``make test``
    quick: bool = False
    #: (for a spec's first proof) cycles within which everything that the spec names as reachable happens
    reach_bound: int | None = field(default=None)


def tiny(*, credits: int | None = None, parameter_bytes: int | None = None, timing_only: bool = False,
         **changes: object) -> Params:
    """Parameters of a very small configuration.

    ``credits`` sets the credits of a link. With ``parameter_bytes`` the parameters of a slice take so much of a single word.
    """
    config: Config = small(**changes)
    if parameter_bytes is not None:  # cached properties: with the real bytes a word would be too large to be proved quickly
        for name in set(config.__dict__) - {part.name for part in fields(config)}:
            del config.__dict__[name]
        config.__dict__.update(parameter_words=1, parameter_beats=ceil_div(parameter_bytes, config.ddr.bytes_per_cycle),
                               parameter_flits=ceil_div(parameter_bytes, config.flit_bytes))
    if credits is not None:
        config.__dict__["link_credits"] = credits  # a cached property: no legal configuration has so few
    return Params(config, timing_only=timing_only)
