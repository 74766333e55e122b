"""The rule engine: every rule fires when its guard holds, and only then; a slice is released exactly once.

The guards below are written from the table in docs/architecture.md, "Rules, cycle by cycle", on a slot state that is kept
here, from the engine's outputs and the strobes of the other blocks. Nothing in the engine is looked at.
"""

from amaranth.hdl import Array, Cat, Mux, Signal, Value
from amaranth.lib import data

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.rules.engine import RuleEngine

SLOTS = 3
EXPERTS = 2
BATCHES = 2
FLAGS = ("used", "filled", "from_link", "todo", "computing", "forward", "sending")


class Slot:
    """What the specification knows of one slot."""

    def __init__(self, number: int, slice_layout: data.Layout):
        for name in FLAGS:
            setattr(self, name, Signal(name=f"{name}_{number}"))
        self.slice = Signal(slice_layout, name=f"slice_{number}")
        # What has happened since its allocation, and what must have happened when it is released.
        self.header = Signal(name=f"header_{number}")  # its header flit has come
        self.cut = Signal(name=f"cut_{number}")  # it is being sent as it arrives
        self.to_compute, self.computed = Signal(name=f"to_compute_{number}"), Signal(name=f"computed_{number}")
        self.to_send, self.sent = Signal(name=f"to_send_{number}"), Signal(name=f"sent_{number}")


class RuleEngineSpec(Spec):
    """Three slots, two experts, two batches, a ring of four tiles; loader, compute unit, sender, receiver and neighbours do
    what they like, and activations of a batch come and go.
    """

    def build(self) -> None:
        m = self.m
        self.params = params = tiny(tile__slots=SLOTS, tile__slices=1, tile__batches=BATCHES, layer__experts=EXPERTS,
                                    layer__top_k=1, array__rows=2, array__cols=2)
        m.submodules.dut = self.dut = dut = RuleEngine(params)
        for path, member, value in dut.signature.flatten(dut):
            if member.flow.name == "In":
                m.d.comb += Value.cast(value).eq(self.free(len(Value.cast(value)), "_".join(map(str, path))))
        self.slots = [Slot(number, params.slice_layout) for number in range(SLOTS)]
        #: strobe and slot of what the engine begins
        self.begins = {"compute": (dut.compute.start, dut.compute.slot), "send": (dut.send.start, dut.send.slot)}
        self.free_count = self.wire(sum(~slot.used for slot in self.slots), "free_count")
        self._state()
        self._arrivals()
        self._loads()
        self._forward()
        self._compute()
        self._release()
        self._port()

    def at(self, number: Value, name: str) -> Value:
        """A flag of the slot of that number."""
        return Array(getattr(slot, name) for slot in self.slots)[number]

    def _state(self) -> None:
        """The slots' state, by events only; and what the environment may say about a slot."""
        m, dut = self.m, self.dut
        self.pending, self.pending_slice = Signal(), Signal(self.params.slice_layout)
        self.before = {}  # slot i was allocated before slot j, if both are used
        self.assume(~dut.load.done | (self.at(dut.load.done_slot, "used") & ~self.at(dut.load.done_slot, "from_link")
                                   & ~self.at(dut.load.done_slot, "filled")))
        self.assume(~dut.receive.header | (self.at(dut.receive.header_slot, "from_link")
                                           & ~self.at(dut.receive.header_slot, "header")
                                   & self.at(dut.receive.header_slot, "used")))
        self.assume(~dut.receive.done | (self.at(dut.receive.done_slot, "header") & ~self.at(dut.receive.done_slot, "filled")
                                    & self.at(dut.receive.done_slot, "used")))
        self.assume(~dut.compute.done | self.at(dut.compute.done_slot, "computing"))
        self.assume(~dut.send.done | self.at(dut.send.done_slot, "sending"))
        ends = {"loaded": (dut.load.done, dut.load.done_slot), "header": (dut.receive.header, dut.receive.header_slot),
                "arrived": (dut.receive.done, dut.receive.done_slot), "computed": (dut.compute.done, dut.compute.done_slot),
                "sent": (dut.send.done, dut.send.done_slot)}
        for strobe, slot_number in ends.values():
            self.assume(~strobe | (slot_number < SLOTS))
        strobes = ends | self.begins
        for number, slot in enumerate(self.slots):
            def my(strobe: str, number: int = number) -> Value:
                return strobes[strobe][0] & (strobes[strobe][1] == number)

            with m.If(my("loaded") | my("arrived")):
                m.d.sync += slot.filled.eq(1)
            with m.If(my("header")):
                m.d.sync += slot.header.eq(1)
            with m.If(my("compute")):
                m.d.sync += [slot.todo.eq(0), slot.computing.eq(1)]
            with m.If(my("computed")):
                m.d.sync += [slot.computing.eq(0), slot.computed.eq(1)]
            with m.If(my("send")):
                m.d.sync += [slot.forward.eq(0), slot.sending.eq(1), slot.cut.eq(dut.send.cut)]
            with m.If(my("sent")):
                m.d.sync += [slot.sending.eq(0), slot.sent.eq(1)]
            with m.If(dut.events.release[number]):
                m.d.sync += slot.used.eq(0)
            with m.If((dut.load.start | dut.control.grant.valid) & (dut.load.slot == number)):
                entry, pending = dut.load.entry, self.pending_slice
                # this tile is the first of those that the ring-previous tile has ahead
                ahead = Mux(dut.control.grant.valid, pending.ahead[1:], entry.ahead)
                here = Mux(dut.control.grant.valid, pending.ahead[0], entry.here)
                m.d.sync += [
                    slot.used.eq(1), slot.filled.eq(0), slot.from_link.eq(dut.control.grant.valid), slot.header.eq(0),
                    slot.todo.eq(here), slot.to_compute.eq(here), slot.computing.eq(0), slot.computed.eq(0),
                    slot.forward.eq(ahead != 0), slot.to_send.eq(ahead != 0), slot.sending.eq(0), slot.sent.eq(0),
                    slot.cut.eq(0), slot.slice.ahead.eq(ahead),
                    slot.slice.batch.eq(Mux(dut.control.grant.valid, pending.batch, entry.batch)),
                    slot.slice.expert.eq(Mux(dut.control.grant.valid, pending.expert, entry.expert)),
                    slot.slice.index.eq(Mux(dut.control.grant.valid, pending.index, entry.index)),
                ]
        for i in range(SLOTS):
            for j in range(i):
                i_first = Signal(name=f"first_{i}_{j}")
                with m.If((dut.load.start | dut.control.grant.valid) & (dut.load.slot == j)):
                    m.d.sync += i_first.eq(1)
                with m.If((dut.load.start | dut.control.grant.valid) & (dut.load.slot == i)):
                    m.d.sync += i_first.eq(0)
                self.before[i, j], self.before[j, i] = i_first, ~i_first

    def oldest(self, candidates: list[Value], chosen: Value) -> Value:
        """``chosen`` is the candidate that was allocated first."""
        def before(i: int) -> Value:
            return Cat(candidates[j] & self.before[j, i] for j in range(SLOTS) if j != i).any()

        return Cat((chosen == i) & candidates[i] & ~before(i) for i in range(SLOTS)).any()

    def _arrivals(self) -> None:
        """A request of the ring-previous tile, and the turn: who may have a free slot."""
        m, dut = self.m, self.dut
        self.assume(~dut.control.request_in.valid | ~self.pending)
        with m.If(dut.control.grant.valid):
            m.d.sync += self.pending.eq(0)
        with m.If(dut.control.request_in.valid):
            m.d.sync += [self.pending.eq(1), self.pending_slice.eq(dut.control.request_in.payload.slice)]
        own = sum(slot.used & ~slot.from_link for slot in self.slots)
        stays = Cat(slot.used & ~slot.forward for slot in self.slots).any()
        behind = own < self.params.config.own_share
        self.turn = self.wire(dut.load.valid & behind & ((self.free_count >= 2) | stays), "turn")
        lowest = Signal(range(SLOTS))
        for number, slot in reversed(list(enumerate(self.slots))):
            with m.If(~slot.used):
                m.d.comb += lowest.eq(number)
        self.claim("grant", "the tile runs, a request waits, a slot is free, no turn of rule 1",
                   dut.control.grant.valid == (dut.running & self.pending & (self.free_count >= 1) & ~self.turn))
        self.claim("grant", "it is the lowest free slot", (dut.load.slot == lowest) & ~self.at(dut.load.slot, "used"),
                   when=dut.control.grant.valid)
        self.claim("grant", "which is told to the ring-previous tile", dut.control.grant.payload.slot == lowest,
                   when=dut.control.grant.valid)
        self.claim("grant", "for the slice that asked", (dut.events.grant_expert == self.pending_slice.expert)
                   & (dut.events.grant_index == self.pending_slice.index)
                   & (dut.events.grant_batch == self.pending_slice.batch), when=dut.control.grant.valid)
        self.claim("grant", "an arrival of its batch, once", dut.let_in == Mux(
            dut.control.grant.valid, Mux(self.pending_slice.batch, 0b10, 0b01), 0))
        self.reach(dut.running & self.pending & (self.free_count == 1) & self.turn)
        self.reach(dut.control.grant.valid & (self.pending_slice.ahead == 0b011) & self.pending_slice.batch)
        self.claim("load", "it is the lowest free slot", (dut.load.slot == lowest) & ~self.at(dut.load.slot, "used"),
                   when=dut.load.start)

    def _loads(self) -> None:
        """Rule 1."""
        dut = self.dut
        self.claim("load", "the tile runs, no grant, an entry, two free slots",
                   dut.load.start == (dut.running & dut.load.valid & ~dut.control.grant.valid & (self.free_count >= 2)))
        self.claim("load", "a load leaves a slot free", self.free_count > 1, when=dut.load.start)
        self.reach(dut.load.start)

    def _forward(self) -> None:
        """Rules 3 and 4."""
        m, dut, slots = self.m, self.dut, self.slots
        asked, granted = Signal(), Signal()
        asked_slot, granted_slot = Signal(range(SLOTS)), Signal(range(SLOTS))
        self.assume(~dut.control.grant_in.valid | (asked & ~granted))
        candidates = [slot.used & slot.forward & (slot.filled | slot.from_link) for slot in slots]
        self.claim("request", "the tile runs, none outstanding, a slice to forward",
                   dut.control.request.valid == (dut.running & ~asked & Cat(candidates).any()))
        self.claim("request", "nothing is asked for or sent for a slot that is not in use",
                   self.at(asked_slot, "used") & self.at(asked_slot, "forward"), when=asked)
        self.claim("request", "the slot is remembered", dut.send.slot == asked_slot, when=asked)
        for number, slot in enumerate(slots):
            self.claim("request", "the slice in it", dut.control.request.payload.slice.as_value() == slot.slice.as_value(),
                       when=dut.control.request.valid & self.oldest(candidates, number))
            with m.If(dut.control.request.valid & self.oldest(candidates, number)):
                m.d.sync += asked_slot.eq(number)
        with m.If(dut.control.request.valid):
            m.d.sync += asked.eq(1)
        with m.If(dut.control.grant_in.valid):
            m.d.sync += [granted.eq(1), granted_slot.eq(dut.control.grant_in.payload.slot)]
        with m.If(dut.send.start):
            m.d.sync += [asked.eq(0), granted.eq(0)]
        at_rest = self.at(asked_slot, "filled") & ~self.at(asked_slot, "computing")
        cut = self.wire(dut.receive.header & (dut.receive.header_slot == asked_slot), "cut")
        self.claim("send", "the tile runs, granted, sender idle, the slice at rest or just arriving",
                   dut.send.start == (dut.running & granted & dut.send.ready & (at_rest | cut)))
        self.claim("send", "the slice that was asked for, with stops left, into the slot that was granted",
                   (dut.send.slot == asked_slot) & (dut.send.to_slot == granted_slot) & self.at(asked_slot, "forward")
                   & (dut.send.slice.as_value() == Array(slot.slice.as_value() for slot in slots)[asked_slot]),
                   when=dut.send.start)
        self.claim("send", "rule 4 if the ring-next tile is no stop",
                   dut.events.send_escape == ~Array(slot.slice.ahead[0] for slot in slots)[asked_slot],
                   when=dut.send.start)
        self.claim("send", "cut-through if its header flit stands at the receiver", dut.send.cut == cut, when=dut.send.start)
        self.reach(dut.send.start & dut.send.cut & dut.events.send_escape)
        self.reach(dut.send.start & ~dut.send.cut & ~dut.events.send_escape & self.at(asked_slot, "todo"))
        self.reach(granted & dut.send.ready & dut.running & ~dut.send.start & self.at(asked_slot, "computing"))

    def _compute(self) -> None:
        """Rule 2."""
        dut = self.dut
        candidates = [slot.used & slot.filled & slot.todo & dut.rows_in.bit_select(slot.slice.batch, 1) & ~slot.sending
                      & ~(dut.send.start & (dut.send.slot == number)) for number, slot in enumerate(self.slots)]
        self.claim("compute", "the tile runs, array ready, a slice with tokens that are here, and it is not (being) sent",
                   dut.compute.start == (dut.running & dut.compute.ready & Cat(candidates).any()))
        self.claim("compute", "the oldest of them", self.oldest(candidates, dut.compute.slot), when=dut.compute.start)
        experts = Array(slot.slice.expert for slot in self.slots)
        batches = Array(slot.slice.batch for slot in self.slots)
        self.claim("compute", "its expert and its batch", (dut.compute.expert == experts[dut.compute.slot])
                   & (dut.compute.batch == batches[dut.compute.slot]), when=dut.compute.start)
        self.reach(dut.compute.start & dut.compute.batch & (dut.rows_in == 0b10)
                   & Cat(slot.used & slot.filled & slot.todo & ~slot.slice.batch for slot in self.slots).any())
        self.reach(dut.compute.start & dut.send.start)

    def _release(self) -> None:
        """Rule 5."""
        dut = self.dut
        for number, slot in enumerate(self.slots):
            freed = dut.events.release[number]
            self.claim("release", "the tile runs, filled, and nothing left to do",
                       freed == (dut.running & slot.used & slot.filled & ~slot.todo & ~slot.computing & ~slot.forward
                                 & ~slot.sending))
            self.claim("release", "computed if it had tokens here, sent on if it had stops left",
                       (slot.computed == slot.to_compute) & (slot.sent == slot.to_send), when=freed)
            for name, done in (("compute", slot.computed | slot.computing), ("send", slot.sent | slot.sending)):
                strobe, of = self.begins[name]
                self.claim("release", f"{name} once", slot.used & ~done, when=strobe & (of == number))
        self.claim("release", "it is told", dut.released == dut.events.release.any())
        for batch in range(BATCHES):
            self.claim("release", "a batch uses the slots that hold its slices", dut.used_by[batch] == Cat(
                slot.used & (slot.slice.batch == batch) for slot in self.slots).any())
        self.reach(dut.events.release[0] & self.slots[0].computed & self.slots[0].sent & self.slots[0].from_link)
        self.reach(dut.events.release[1] & self.slots[1].computed & self.slots[1].sent & ~self.slots[1].from_link)

    def _port(self) -> None:
        """A slot's SRAM has one user at a time: who writes it, the MAC array, the sender."""
        dut = self.dut
        for number, slot in enumerate(self.slots):
            written = slot.used & ~slot.filled
            sends = slot.sending & ~slot.cut
            self.claim("port", "one user", (written + slot.computing + sends) <= 1)
            self.claim("port", "never in the MAC array and on the link", ~(slot.computing & slot.sending))
            for name, (strobe, of) in self.begins.items():
                self.claim("port", f"{name} finds it free", ~slot.computing & ~slot.sending
                           & (slot.filled | (dut.send.cut if name == "send" else 0)), when=strobe & (of == number))


_SIZE = f"{SLOTS} slots, {EXPERTS} experts, {BATCHES} batches, 4 tiles"
_ASSUMES = ("strobes name slots in the state that they end (loader-slot, receiver-write, sender-packet, sequencer-slot); "
            "grants answer requests, one request at a time (engine-request, engine-grant)")


def _proof(group: str, says: str, *mutants: str, **others: object) -> Proof:
    return Proof(name=f"engine-{group}", block="RuleEngine", spec=RuleEngineSpec, group=group, says=says, size=_SIZE,
                 assumes=_ASSUMES, mutants=mutants, **others)


PROOFS = (
    _proof("grant", "a free slot is granted, for the slice that asked, when a request waits and it is not rule 1's turn, and "
           "only then; it is an arrival of its batch",
           "engine-grants-without-slot", "engine-no-turn", "engine-turn-always", "engine-grants-stopped",
           "engine-arrival-of-other-batch",
           reach_bound=40),
    _proof("load", "rule 1 fires when its guard holds and only then; never into the last free slot",
           "engine-no-bubble", "engine-load-beside-grant", "engine-loads-stopped", quick=True),
    _proof("request", "a slot is asked for when none is outstanding, for the oldest slice with stops ahead, and only then",
           "engine-asks-twice", "engine-asks-for-youngest", "engine-asks-early"),
    _proof("send", "rules 3 and 4 fire when their guard holds and only then: the slice that was asked for, into the slot "
           "that was granted",
           "engine-sends-ungranted", "engine-sends-while-computing", "engine-escape-always", "engine-cut-any-header"),
    _proof("compute", "rule 2 fires when its guard holds and only then; the oldest slice first, of those whose activations "
           "are here",
           "engine-computes-unfilled", "engine-computes-again", "engine-computes-while-sending",
           "engine-computes-without-rows", "engine-rows-of-other-batch", "engine-batch-lost"),
    _proof("release", "rule 5 fires when its guard holds and only then; a slice is released once, computed if it had tokens "
           "here, sent on if it had stops ahead; a batch uses the slots with its slices",
           "engine-releases-uncomputed", "engine-releases-unsent", "engine-stop-kept", "engine-used-by-first"),
    _proof("port", "a slot has one user at a time: its writer, the MAC array or the sender",
           "engine-computes-while-sending", "engine-sends-while-computing", "engine-computes-unfilled"),
)
