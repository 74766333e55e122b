"""The DDR loader: AXI4 rules on the address channel, every slice whole in its slot, entries taken as rule 1 fires."""

from amaranth.hdl import Array, Mux, Signal, Value
from amaranth.utils import exact_log2

from tests.formal.sender_spec import SHORT, SIZE
from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.batch.layouts import PAGE_BITS
from trajectile.hw.ddr.loader import AXI_BURST_INCR, DdrLoader
from trajectile.sw_model.config import AXI_BOUNDARY_BYTES

#: a slice of 34 beats of 128 bytes: a burst of full length (32) and a short one
WIDE = {"layer__d_model": 64, "layer__d_ff": 2, "layer__experts": 2, "layer__top_k": 1, "tile__mac_k": 2, "tile__mac_n": 64,
        "tile__mac_t": 1, "tile__slices": 2, "tile__slots": 4, "tile__batches": 2, "tile__weights": "int4",
        "ddr__bytes_per_cycle": 128, "ddr__latency_cycles": 20, "link__beat_bytes": 128}


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
            if member.flow.name == "In" and name != "layer":
                m.d.comb += Value.cast(value).eq(self.free(len(Value.cast(value)), name))
        ddr = dut.ddr
        self.layers = [self.constant(params.address_bits - PAGE_BITS, f"layer_{batch}")
                       for batch in range(config.tile.batches)]
        m.d.comb += [dut.pages[batch].eq(layer) for batch, layer in enumerate(self.layers)]
        self.assume(~dut.load.start | dut.load.valid)
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
        return {"address": self._address, "entries": self._entries, "slot": self._slot, "reach": self._slot}

    def _address(self) -> None:
        """Bursts of a slice: addresses, lengths, the rules of AXI4."""
        m, dut, ddr, config = self.m, self.dut, self.dut.ddr, self.config
        beat_bytes, bursts = config.ddr.bytes_per_cycle, config.slice_bursts
        left, at = Signal(range(bursts + 1)), Signal(self.params.address_bits)
        with m.If(dut.load.start):
            base = Array(self.layers)[dut.load.entry.batch] << PAGE_BITS
            m.d.sync += [left.eq(bursts), at.eq(base + dut.load.entry.row * config.slice_pitch_bytes)]
        with m.Elif(self.asks):
            m.d.sync += [left.eq(left - 1), at.eq(at + config.ddr.burst_beats * beat_bytes)]
        length = Mux(left == 1, config.slice_beats - (bursts - 1) * config.ddr.burst_beats, config.ddr.burst_beats)
        self.claim("address", "bursts are asked for until the slice is complete, then no more", ddr.arvalid == (left != 0))
        self.claim("address", "where the slice lies in the layer of its batch", ddr.araddr == at, when=ddr.arvalid)
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

    def _entries(self) -> None:
        """When an entry is offered to rule 1, and that it is taken with it."""
        m, dut, ddr, config = self.m, self.dut, self.dut.ddr, self.config
        asking = Signal(range(config.slice_bursts + 1))
        with m.If(dut.load.start):
            m.d.sync += asking.eq(config.slice_bursts)
        with m.Elif(self.asks):
            m.d.sync += asking.eq(asking - 1)
        self.claim("entries", "one is offered when all bursts of the one before are asked for, and no "
                   "more slices are in flight than the latency needs", dut.load.valid == (
                       dut.entries.valid & (asking == 0) & (self.in_flight < config.loads_in_flight)))
        self.claim("entries", "the one that stands there", dut.load.entry.as_value() == dut.entries.payload.as_value())
        self.claim("entries", "it is taken when rule 1 fires, and then only", dut.entries.ready == dut.load.start)
        self.claim("entries", "quiet when all that were taken have come", dut.quiet == (self.in_flight == 0))
        self.reach(self.in_flight == config.loads_in_flight)
        self.reach(ddr.rvalid & dut.load.start)

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


class EntriesSpec(LoaderSpec):
    """Short slices, of which several are in flight."""

    changes = SHORT | {"layer__experts": 8, "ddr__latency_cycles": 1}

    def group_of(self) -> dict:
        """Both questions are about entries."""
        return super().group_of() | {"reach": self._entries}


_ASSUMES = ("the DDR controller sends the beats that it was asked for, in order (AXI4); the layer of a batch stays as "
            "long as it has loads; loads only when there is an entry (engine-load)")


def _proof(group: str, says: str, *mutants: str, **others: object) -> Proof:
    others = {"name": f"loader-{group}", "spec": LoaderSpec, "size": "2 bursts, 34 beats of 128 bytes",
              "assumes": _ASSUMES} | others
    return Proof(block="DdrLoader", group=group, says=says, mutants=mutants, **others)


PROOFS = (
    _proof("address", "ARVALID and its payload hold until ARREADY; no burst crosses a 4 KiB line; bursts "
           "of a slice are the slice in the layer of its batch", "loader-burst-too-long", "loader-layer-of-first",
           "loader-address-moves", "loader-arvalid-drops", reach_bound=40),
    _proof("entries", "an entry is offered when it may be loaded and only then, no more at a time than planned, and "
           "taken when rule 1 fires", "loader-entry-kept", "loader-no-flight-limit",
           spec=EntriesSpec, size="slices of 5 beats, 2 in flight", reach_bound=50),
    _proof("slot", "slices come in order; exactly a slice's beats, each once, at its place in the slot of its slice; "
           "`loaded` once, with the last", "loader-slot-of-newest", "loader-loaded-early", "loader-words-turned",
           "loader-first-word-whole", "loader-words-short", spec=NarrowLoaderSpec,
           size="3 words of 2 beats, the first of one, 2 slices in flight", reach_bound=40),
    _proof("slot", "the same where all words are whole", "loader-words-turned", name="loader-slot-whole",
           spec=WholeLoaderSpec, size="5 words of 2 beats, 2 slices in flight", reach_bound=40),
)
