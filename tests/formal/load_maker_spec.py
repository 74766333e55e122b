"""The load maker: entries are the slices of this tile's channel, each once; arrivals are those of others that come here."""

from amaranth.hdl import Array, Cat, Mux, Signal

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.batch.load_maker import LOADS_WAITING, LoadMaker
from trajectile.sw_model.config.topology import ring

#: three tiles in a line, two of them with a channel; three slices, so that they do not begin in the same channel
SIZE = {"array__rows": 1, "array__cols": 3, "array__ddr_tiles": (0, 2), "layer__experts": 2, "layer__d_ff": 3,
        "tile__slices": 3, "tile__batches": 2, "array__dataflows": "both", "link__beat_bytes": 4}


class LoadMakerSpec(Spec):
    """Any picks, at any position of the ring; rule 1 takes entries as it likes. One expert is followed, which comes once."""

    def build(self) -> None:
        m = self.m
        params = tiny(**SIZE)
        config = params.config
        tiles, slices, channels = config.array.tiles, config.tile.slices, config.array.channels
        order = ring(config.array)
        m.submodules.dut = dut = LoadMaker(params)
        position = self.constant(range(tiles), "position")
        self.assume(position < tiles)
        pick, valid, ready = self.free(params.pick_layout, "pick"), self.free(1, "valid"), self.free(1, "ready")
        begins, nothing = self.free(1, "begins"), self.free(1, "nothing")
        m.d.comb += [
            dut.position.eq(position), dut.pick.payload.eq(pick), dut.pick.valid.eq(valid), dut.load.ready.eq(ready),
            dut.formed.eq(begins), dut.nothing.eq(nothing),
        ]
        self.assume(pick.stops.any())
        taken = self.wire(valid & dut.pick.ready, "taken")
        entry = dut.load.payload
        loaded = self.wire(dut.load.valid & ready, "loaded")

        # Where each slice lies: how many tiles behind this one its home is.
        def behind(channel: int) -> Array:
            return Array((place - order.index(config.array.ddr_tiles[channel])) % tiles for place in range(tiles))[position]

        def home(expert: int, index: int) -> Array:
            return behind((expert * slices + index) % channels)

        def row(expert: int, index: int) -> int:
            return (expert * slices + index) // channels

        experts = range(config.layer.experts)
        own = Array(Array(home(expert, index) == 0 for index in range(slices)) for expert in experts)
        rows = Array(Array(row(expert, index) for index in range(slices)) for expert in experts)
        self.claim("entries", "a slice of this tile's channel", (entry.index < slices) & own[entry.expert][entry.index],
                   when=dut.load.valid)
        self.claim("entries", "at its row", entry.row == rows[entry.expert][entry.index], when=dut.load.valid)

        # One slice is followed.
        expert, index = self.constant(range(config.layer.experts), "expert"), self.constant(range(slices), "index")
        self.assume(index < slices)
        known, chosen, came = Signal(), Signal(params.pick_layout), Signal()
        self.assume(~(taken & known) | (pick.expert != expert))
        with m.If(taken & (pick.expert == expert)):
            m.d.sync += [known.eq(1), chosen.eq(pick)]
        is_it = self.wire((entry.expert == expert) & (entry.index == index), "is_it")
        with m.If(loaded & is_it):
            m.d.sync += came.eq(1)
        self.claim("entries", "only of an expert that was picked, each once", known & ~came, when=dut.load.valid & is_it)
        self.claim("entries", "with its stops and its batch", (entry.batch == chosen.batch) & (entry.here == chosen.stops[0])
                   & (entry.ahead == Mux(chosen.shared, 0, chosen.stops[1:])), when=dut.load.valid & (entry.expert == expert))
        self.claim("entries", "none is left out", came,
                   when=known & own[expert][index] & dut.pick.ready & ~dut.waits.any())
        waited = self.past(dut.load.valid & ~ready, "waited")
        self.claim("entries", "an entry holds until it is taken",
                   dut.load.valid & (entry.as_value() == self.past(entry.as_value(), "entry_before")), when=waited)
        after_one = self.past(loaded, "after_one")
        self.claim("entries", "none is offered in the cycle after one is taken", ~dut.load.valid, when=after_one)
        self.claim("entries", "else one is when any wait", dut.load.valid == dut.waits.any(), when=~after_one)
        self.claim("entries", "the next one is of a batch that waits", dut.waits.bit_select(entry.batch, 1),
                   when=dut.load.valid)

        # A batch is one pick after the other, the last one says so; then it is made.
        goes_on = Signal()
        last = Signal()
        with m.If(begins):
            m.d.sync += goes_on.eq(1)
        with m.Elif(taken):
            m.d.sync += goes_on.eq(~pick.last)
        self.assume(~(begins & (goes_on | ~dut.pick.ready)))
        self.assume(~valid | (goes_on & ~begins))
        self.assume(~nothing | (goes_on & dut.pick.ready & ~valid))
        with m.If(taken):
            m.d.sync += last.eq(pick.last)
        busy = self.wire(~dut.pick.ready, "busy")
        ends = self.past(busy, "was_busy") & ~busy
        self.claim("arrivals", "made when the last slice of the last pick is looked at",
                   self.past(dut.made & ~nothing, "was_made") == (ends & last))
        self.claim("arrivals", "made if there is nothing to load", dut.made, when=nothing)
        reached = Cat(pick.stops[:tiles - distance].any() for distance in range(tiles))
        come = Array(sum((home(number, place) != 0) & reached.bit_select(home(number, place), 1) for place in range(slices))
                     for number in experts)
        arrivals = Signal(params.arrival_bits)
        with m.If(begins):
            m.d.sync += arrivals.eq(0)
        with m.Elif(taken):
            m.d.sync += arrivals.eq(arrivals + Mux(pick.shared, 0, come[pick.expert]))
        self.claim("arrivals", "slices of others that stop here or pass", dut.arrivals == arrivals,
                   when=dut.made | (dut.pick.ready & goes_on))
        inside = Signal(range(LOADS_WAITING + 1))
        m.d.sync += inside.eq(Mux(dut.load.valid & ~ready, inside + (inside != LOADS_WAITING), 0))
        self.reach(came)
        self.reach(dut.made & (dut.arrivals == 2))
        self.reach(busy & self.past(busy & self.past(busy & self.past(busy, "a"), "b"), "c") & (inside == LOADS_WAITING))


_ASSUMES = "picks only in a batch, the next batch after the last pick is looked at (order-once)"


def _proof(group: str, says: str, *mutants: str, **others: object) -> Proof:
    return Proof(name=f"loads-{group}", block="LoadMaker", spec=LoadMakerSpec, group=group, says=says, mutants=mutants,
                 size="3 tiles, 2 channels, 2 experts of 3 slices", assumes=_ASSUMES, **others)


PROOFS = (
    _proof("entries", "entries are exactly the slices of this tile's channel, each once, at its row, with its expert's "
           "stops, of a shared batch without any ahead", "maker-full-unseen", "maker-row-kept", "maker-ahead-of-next",
           "maker-shared-travels", reach_bound=40),
    _proof("arrivals", "arrivals are the slices of other channels that stop here or pass, none of a shared batch; `made` "
           "with the last slice",
           "maker-arrivals-of-stops", "maker-home-other-way", "maker-shared-comes"),
)
