"""All design mutants. Proofs name theirs (tests/formal); the others are for the tests."""

from tests.mutants.mutant import Mutant

_ALL = (
    # -- slot table -----------------------------------------------------------------------------------------------
    Mutant(name="slots-never-freed", module="hw.rules.slots", description="a freed slot stays in use",
           old="self.used[i].eq(0)", new="self.used[i].eq(1)"),
    Mutant(name="slots-allocates-used", module="hw.rules.slots", description="slot 0 counts as free while it is in use",
           old="free.eq(~self.used)", new="free.eq(~self.used | 1)"),
    Mutant(name="slots-two-free-of-one", module="hw.rules.slots", description="one free slot counts as two",
           old="self.two_free.eq((free & (free - 1)).any())", new="self.two_free.eq(free.any())"),
    Mutant(name="slots-strobe-of-any-slot", module="hw.rules.slots", description="`computed` hits every slot",
           old="with m.If(mine(self.computed, self.computed_slot)):", new="with m.If(self.computed):"),
    Mutant(name="slots-filled-kept", module="hw.rules.slots", description="a new slice counts as filled at once",
           old="self.filled[i].eq(0)", new="self.filled[i].eq(self.filled[i])"),
    Mutant(name="slots-age-not-renewed", module="hw.rules.slots", description="a slot keeps its age when allocated anew",
           old="m.d.sync += [older[i][j].eq(0) for j in slots if j != i]", new="pass"),
    Mutant(name="slots-age-one-way", module="hw.rules.slots", description="the others do not get older than a new slice",
           old="m.d.sync += [older[j][i].eq(1) for j in slots if j != i]", new="pass"),
)
MUTANTS: dict[str, Mutant] = {mutant.name: mutant for mutant in _ALL}
assert len(MUTANTS) == len(_ALL), "two mutants have one name"
