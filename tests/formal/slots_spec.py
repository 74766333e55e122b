"""The slot table: each slot has one owner at a time, none is lost, and the oldest is the one allocated first."""

from amaranth.hdl import Signal

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.rules.slots import SlotTable

SLOTS = 4


class SlotTableSpec(Spec):
    """The claims hold for every slot, since they hold for one that is chosen freely; ages for every pair of slots."""

    def build(self) -> None:
        m, params = self.m, tiny(tile__slots=SLOTS, layer__experts=2, layer__top_k=1)
        m.submodules.dut = self.dut = dut = SlotTable(params)
        for name, member in dut.signature.members.items():
            if member.flow.name == "In":
                m.d.comb += getattr(dut, name).eq(self.free(member.shape, name))
        self.assume(~dut.allocate | dut.one_free)
        self.assume((dut.freed & ~dut.used) == 0)
        self.assume(((dut.oldest_request_of | dut.oldest_compute_of) & ~dut.used) == 0)
        slot = self.constant(range(SLOTS), "slot")
        mine = self.wire(dut.allocate & (dut.free_slot == slot), "mine")
        self._owner(slot, mine)
        self._contents(slot, mine)
        self._age()
        self.reach(dut.used.all())
        self.reach(dut.allocate & dut.freed.any())

    def _owner(self, slot: Signal, mine: Signal) -> None:
        """From allocation to release a slot is in use, and it is allocated at no other time."""
        m, dut = self.m, self.dut
        owned = Signal()
        with m.If(dut.freed.bit_select(slot, 1)):
            m.d.sync += owned.eq(0)
        with m.If(mine):
            m.d.sync += owned.eq(1)
        self.claim("owner", "only a free slot is allocated", ~owned, when=mine)
        self.claim("owner", "in use from allocation until it is freed", dut.used.bit_select(slot, 1) == owned)
        in_use = Signal(range(SLOTS + 1))
        m.d.sync += in_use.eq(in_use + dut.allocate - sum(dut.freed[i] for i in range(SLOTS)))
        self.claim("owner", "allocated less freed are in use", in_use == sum(dut.used[i] for i in range(SLOTS)))
        self.claim("owner", "one_free tells it", dut.one_free == (in_use < SLOTS))
        self.claim("owner", "two_free tells it", dut.two_free == (in_use < SLOTS - 1))

    def _contents(self, slot: Signal, mine: Signal) -> None:
        """What is shown of a slot in use is what was given at its allocation, changed by its own strobes only."""
        m, dut = self.m, self.dut
        strobe = {name: self.wire(getattr(dut, name) & (getattr(dut, f"{name}_slot") == slot), f"my_{name}")
                  for name in ("loaded", "arrived", "compute", "computed", "send", "sent")}
        self.assume(~(strobe["compute"] & strobe["computed"]) & ~(strobe["send"] & strobe["sent"]))
        given = {"from_link": dut.allocate_from_link, "own": ~dut.allocate_from_link, "filled": 0,
                 "todo": dut.allocate_here, "resting": 0, "forward": dut.allocate_slice.ahead != 0,
                 "stays": dut.allocate_slice.ahead == 0, "sending": 0}
        written = strobe["loaded"] | strobe["arrived"]
        self.assume(~(written & strobe["compute"]))
        self.assume(~strobe["send"] | (dut.used.bit_select(slot, 1) & ~dut.freed.bit_select(slot, 1)))
        rises = {"filled": written, "resting": written | strobe["computed"], "stays": strobe["send"],
                 "sending": strobe["send"]}
        falls = {"todo": strobe["compute"], "resting": strobe["compute"], "forward": strobe["send"],
                 "sending": strobe["sent"]}
        in_use = dut.used.bit_select(slot, 1)
        for name, value in given.items():
            expected = Signal(name=f"expected_{name}")
            with m.If(mine):
                m.d.sync += expected.eq(value)
            with m.Elif(rises.get(name, 0)):
                m.d.sync += expected.eq(1)
            with m.Elif(falls.get(name, 0)):
                m.d.sync += expected.eq(0)
            self.claim("contents", name, getattr(dut, name).bit_select(slot, 1) == expected, when=in_use)
        for name in ("own", "stays"):
            self.claim("contents", f"{name} only in use", ~getattr(dut, name).bit_select(slot, 1), when=~in_use)
        entry = Signal.like(dut.allocate_slice, name="expected_slice")
        with m.If(mine):
            m.d.sync += entry.eq(dut.allocate_slice)
        self.claim("contents", "slices", dut.slices[slot].as_value() == entry.as_value(), when=in_use)

    def _age(self) -> None:
        """Of any two candidates the younger one is not the answer: the order is that of time, so it is total."""
        m, dut = self.m, self.dut
        one, other = self.constant(range(SLOTS), "one"), self.constant(range(SLOTS), "other")
        one_first = Signal()
        with m.If(dut.allocate & (dut.free_slot == other)):
            m.d.sync += one_first.eq(1)
        with m.If(dut.allocate & (dut.free_slot == one)):
            m.d.sync += one_first.eq(0)
        for pick in ("request", "compute"):
            of, oldest = getattr(dut, f"oldest_{pick}_of"), getattr(dut, f"oldest_{pick}")
            self.claim("age", "one of the candidates", of.bit_select(oldest, 1), when=of.any())
            self.claim("age", "the oldest of them", oldest != other,
                       when=of.bit_select(one, 1) & of.bit_select(other, 1) & one_first & (one != other))


_SIZE = f"{SLOTS} slots"
_ASSUMES = ("allocates only when `one_free`, frees, sends and asks about used slots only (engine-grant, engine-load, "
            "engine-request, engine-release)")
PROOFS = (
    Proof(name="slots-owner", block="SlotTable", spec=SlotTableSpec, group="owner", size=_SIZE, assumes=_ASSUMES,
          says="a slot has one owner from allocation to release; none is allocated twice, none is lost; "
               "`one_free` and `two_free` tell the truth",
          mutants=("slots-never-freed", "slots-allocates-used", "slots-two-free-of-one"), quick=True, reach_bound=12),
    Proof(name="slots-contents", block="SlotTable", spec=SlotTableSpec, group="contents", size=_SIZE, assumes=_ASSUMES,
          says="what a slot shows is what it was allocated for, changed by its own strobes only",
          mutants=("slots-strobe-of-any-slot", "slots-filled-kept")),
    Proof(name="slots-age", block="SlotTable", spec=SlotTableSpec, group="age", size=_SIZE, assumes=_ASSUMES,
          says="the oldest candidate is the one allocated first, for every set of candidates",
          mutants=("slots-age-not-renewed", "slots-age-one-way")),
)
