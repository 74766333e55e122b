"""The DDR loader: AXI4 rules on the address channel, every slice whole in its slot, entries of the list in order."""

from amaranth.hdl import Mux, Signal, Value
from amaranth.utils import exact_log2

from tests.formal.sender_spec import SHORT, SIZE
from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.ddr.loader import AXI_BURST_INCR, DdrLoader
from trajectile.hw.host.layouts import Table
from trajectile.sw_model.config import AXI_BOUNDARY_BYTES

#: a slice of 34 beats of 128 bytes: a burst of full length (32) and a short one
WIDE = {"layer__d_model": 64, "layer__d_ff": 2, "layer__experts": 2, "layer__top_k": 1, "tile__mac_k": 2, "tile__mac_n": 64,
        "tile__mac_t": 1, "tile__slices": 2, "tile__slots": 4, "tile__weights": "int4", "ddr__bytes_per_cycle": 128,
        "ddr__latency_cycles": 20, "link__beat_bytes": 128}


class LoaderSpec(Spec):
    """Rule 1 fires as it likes when there is an entry; the DDR controller answers what it was asked, at any pace."""

    changes: dict = WIDE
    timing_only = True

    def build(self) -> None:
        m = self.m
        self.params = params = tiny(timing_only=self.timing_only, **self.changes)
        self.config = config = params.config
        m.submodules.dut = self.dut = dut = DdrLoader(params)
        for path, member, value in dut.signature.flatten(dut):
            name = "_".join(map(str, path))
            if member.flow.name == "In" and name not in ("base", "count"):
                m.d.comb += Value.cast(value).eq(self.free(len(Value.cast(value)), name))
        ddr = dut.ddr
        m.d.comb += [dut.base.eq(self.constant(params.address_bits, "base")),
                     dut.count.eq(self.constant(params.load_bits, "count"))]
        self.assume(dut.base % AXI_BOUNDARY_BYTES == 0)
        self.assume(~dut.load.start | dut.load.valid)
        self.assume(~dut.table.write | (~dut.running & (dut.table.index < params.load_depth)))
        self.assume(~dut.clear | (~dut.running & dut.quiet & ~dut.table.write))
        # Beats that were asked for and have not come.
        most = config.loads_in_flight * config.slice_beats
        self.owed = Signal(range(most + 1))
        self.asks = self.wire(ddr.arvalid & ddr.arready, "asks")
        m.d.sync += self.owed.eq(self.owed + Mux(self.asks, ddr.arlen + 1, 0) - ddr.rvalid)
        self.assume(~ddr.rvalid | (self.owed != 0))
        self.in_flight = Signal(range(config.loads_in_flight + 1))
        m.d.sync += self.in_flight.eq(self.in_flight + dut.load.start - dut.load.done)
        self.group_of()[self.group]()

    def group_of(self) -> dict:
        """Only what the group needs is built."""
        return {"address": self._address, "list": self._list, "slot": self._slot, "reach": self._slot}

    def _address(self) -> None:
        """Bursts of a slice: addresses, lengths, the rules of AXI4."""
        m, dut, ddr, config = self.m, self.dut, self.dut.ddr, self.config
        beat_bytes, bursts = config.ddr.bytes_per_cycle, config.slice_bursts
        left, at = Signal(range(bursts + 1)), Signal(self.params.address_bits)
        with m.If(dut.load.start):
            m.d.sync += [left.eq(bursts), at.eq(dut.base + dut.load.entry.row * config.slice_pitch_bytes)]
        with m.Elif(self.asks):
            m.d.sync += [left.eq(left - 1), at.eq(at + config.ddr.burst_beats * beat_bytes)]
        length = Mux(left == 1, config.slice_beats - (bursts - 1) * config.ddr.burst_beats, config.ddr.burst_beats)
        self.claim("address", "bursts are asked for until the slice is complete, then no more", ddr.arvalid == (left != 0))
        self.claim("address", "where the slice lies", ddr.araddr == at, when=ddr.arvalid)
        self.claim("address", "beats of all bursts are the slice's", ddr.arlen + 1 == length, when=ddr.arvalid)
        self.claim("address", "INCR, whole beats", (ddr.arburst == AXI_BURST_INCR) & (ddr.arsize == exact_log2(beat_bytes)),
                   when=ddr.arvalid)
        self.claim("address", "no burst crosses a 4 KiB line",
                   ddr.araddr % AXI_BOUNDARY_BYTES + (ddr.arlen + 1) * beat_bytes <= AXI_BOUNDARY_BYTES, when=ddr.arvalid)
        waited = self.past(ddr.arvalid & ~ddr.arready, "waited")
        payload = (ddr.araddr, ddr.arlen, ddr.arsize, ddr.arburst)
        self.claim("address", "ARVALID holds", ddr.arvalid, when=waited)
        for number, value in enumerate(payload):
            self.claim("address", "AR is stable", value == self.past(value, f"before_{number}"), when=waited)
        self.claim("address", "no more is asked for than is in flight", self.owed <= self.in_flight * config.slice_beats)

    def _list(self) -> None:
        """Entries are taken in order, from the first on; one of them is followed."""
        m, dut, params = self.m, self.dut, self.params
        number, known, contents = self.constant(range(params.load_depth), "number"), Signal(), Signal(params.load_layout)
        with m.If(dut.table.write & (dut.table.table == Table.LOADS) & (dut.table.index == number)):
            m.d.sync += [known.eq(1), contents.eq(dut.table.write_data)]
        began, taken = Signal(), Signal(range(params.load_depth + 2))
        self.assume(~dut.running | began)
        with m.If(dut.clear):
            m.d.sync += [began.eq(1), taken.eq(0)]
        with m.Elif(dut.load.start):
            m.d.sync += taken.eq(taken + 1)
        with m.If(dut.table.write):
            m.d.sync += began.eq(0)  # clear comes after the last write
        self.assume(dut.count <= params.load_depth)
        self.claim("list", "entries in order", dut.load.entry.as_value() == contents.as_value(),
                   when=dut.running & known & (taken == number) & dut.load.valid)
        self.claim("list", "no more than there are, while a batch runs and there is DDR",
                   dut.running & (taken < dut.count) & dut.has_ddr, when=dut.load.valid)
        self.claim("list", "no more slices at a time than the latency needs",
                   self.in_flight < self.config.loads_in_flight, when=dut.load.valid)
        self.claim("list", "done when all are taken and have come",
                   dut.done == ((taken == dut.count) & (self.in_flight == 0)), when=began)
        self.claim("list", "quiet when all that were taken have come", dut.quiet == (self.in_flight == 0))

    def _slot(self) -> None:
        """Words and the end of a slice."""
        m, dut, ddr, config, params = self.m, self.dut, self.dut.ddr, self.config, self.params
        number = Signal(range(config.slice_beats))  # of the next beat in its slice
        with m.If(ddr.rvalid):
            m.d.sync += number.eq(Mux(number == config.slice_beats - 1, 0, number + 1))
        ends = self.past(ddr.rvalid & (number == config.slice_beats - 1), "ends")
        missing = config.slice_words * config.word_beats - config.slice_beats  # beats that the first word has not
        place = self.wire(number + Mux(number < config.word_beats - missing, 0, missing), "place")
        self.claim("slot", "beats are always taken", ddr.rready)
        self.claim("slot", "loaded after the slice's beats, once", dut.load.done == ends)
        # One slice is followed, among those that are in flight.
        mark, slot, seen, gone = self.free(1, "mark"), Signal(params.slot_bits), Signal(), Signal()
        ahead = Signal(range(config.loads_in_flight + 1))
        with m.If(dut.load.start & mark & ~seen):
            m.d.sync += [seen.eq(1), slot.eq(dut.load.slot), ahead.eq(self.in_flight - dut.load.done)]
        with m.Elif(dut.load.done & seen):
            m.d.sync += [ahead.eq(ahead - (ahead != 0)), gone.eq(gone | (ahead == 0))]
        first = self.wire(seen & ~gone & (ahead == 0), "first")
        self.claim("slot", "slices arrive in the order in which they were asked for", dut.load.done_slot == slot,
                   when=dut.load.done & first)
        self.claim("slot", "nothing arrives that was not asked for", self.in_flight != 0, when=dut.load.done)
        self.reach(gone)
        if params.timing_only:
            return
        write, beats = dut.write, config.word_beats
        self.claim("slot", "a beat is written the cycle after it came", write.en == self.past(ddr.rvalid, "came"))
        self.claim("slot", "at its place", (write.addr == self.past(place // beats, "where"))
                   & (write.piece == self.past(place % beats, "which")), when=write.en)
        self.claim("slot", "in the slot of the oldest slice in flight", (write.slot == slot) & (self.in_flight != 0),
                   when=write.en & first)
        self.claim("slot", "as it came", write.data == self.past(ddr.rdata, "beat_before"), when=write.en)


class NarrowLoaderSpec(LoaderSpec):
    """The same with words: three of two beats, but the first, which has one."""

    changes = SHORT | {"ddr__latency_cycles": 1}
    timing_only = False


class WholeLoaderSpec(NarrowLoaderSpec):
    """The same where all words are whole."""

    changes = SIZE | {"ddr__latency_cycles": 1}


class LongListSpec(LoaderSpec):
    """A list with more entries than slices may be in flight."""

    changes = SHORT | {"layer__experts": 8, "ddr__latency_cycles": 1}


_ASSUMES = ("the DDR controller sends the beats that it was asked for, in order (AXI4); DDR_BASE is a multiple of 4096, the "
            "list is written before a batch (host-quiet); loads only when there is an entry (engine-load)")


def _proof(group: str, says: str, *mutants: str, **others: object) -> Proof:
    others = {"name": f"loader-{group}", "spec": LoaderSpec, "size": "2 bursts, 34 beats of 128 bytes",
              "assumes": _ASSUMES} | others
    return Proof(block="DdrLoader", group=group, says=says, mutants=mutants, **others)


PROOFS = (
    _proof("address", "ARVALID and its payload hold until ARREADY; no burst crosses a 4 KiB line; bursts "
           "of a slice are the slice", "loader-burst-too-long", "loader-address-moves", "loader-arvalid-drops",
           reach_bound=40),
    _proof("list", "entries are taken in order, each once, no more than there are and no more at a time than planned",
           "loader-entry-twice", "loader-one-too-many", "loader-no-flight-limit", spec=LongListSpec,
           size="slices of 5 beats, 2 in flight, a list of 4", reach_bound=50),
    _proof("slot", "slices come in order; exactly a slice's beats, each once, at its place in the slot of its slice; "
           "`loaded` once, with the last", "loader-slot-of-newest", "loader-loaded-early", "loader-words-turned",
           "loader-first-word-whole", "loader-words-short", spec=NarrowLoaderSpec,
           size="3 words of 2 beats, the first of one, 2 slices in flight", reach_bound=40),
    _proof("slot", "the same where all words are whole", "loader-words-turned", name="loader-slot-whole",
           spec=WholeLoaderSpec, size="5 words of 2 beats, 2 slices in flight", reach_bound=40),
)
