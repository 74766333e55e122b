"""The order of experts: each active one is picked once, and nobody else."""

from amaranth.hdl import Array, Cat, Const, Mux, Signal, Value

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.batch.expert_order import ExpertOrder
from trajectile.sw_model.config.accelerator import COUNTS_PER_WORD

#: three experts on two tiles with a bit each
SIZE = {"array__rows": 1, "array__cols": 2, "array__ddr_tiles": (0,), "layer__experts": 3, "layer__top_k": 3,
        "tile__tokens": 1, "tile__mac_t": 1}


class ExpertOrderSpec(Spec):
    """Any counts, the same in all batches of a run; picks are taken as the load maker likes; the next batch comes when the
    last pick is taken.
    """

    def build(self) -> None:
        m = self.m
        params = tiny(**SIZE)
        config = params.config
        experts, tiles, bits = config.layer.experts, config.array.tiles, config.count_bits
        m.submodules.dut = dut = ExpertOrder(params)
        formed, pick = dut.formed, dut.pick.payload
        #: passes of each expert on each tile
        passes = [[self.constant(bits, f"passes_{tile}_{expert}") for tile in range(tiles)] for expert in range(experts)]
        begins, batch, ready = self.free(1, "begins"), self.free(1, "batch"), self.free(1, "ready")
        order = self.free(2, "order")
        self.assume(order != 3)
        m.d.comb += [formed.formed.eq(begins), formed.batch.eq(batch), formed.order.as_value().eq(order),
                     dut.pick.ready.eq(ready)]
        # The table: a word a cycle after it is asked for.
        none = [Const(0, bits)] * tiles
        padded = [*passes, *[none] * (-experts % COUNTS_PER_WORD)]
        words = Array(Cat(padded[number + place][tile] for tile in range(tiles) for place in range(COUNTS_PER_WORD))
                      for number in range(0, experts, COUNTS_PER_WORD))
        table = Signal(params.counts_layout)
        with m.If(formed.read):
            m.d.sync += Value.cast(table).eq(words[formed.number])
        m.d.comb += formed.counts.eq(table)
        self.claim("once", "only words that there are", formed.number < config.count_words, when=formed.read)

        # Who is left.
        active = self.wire(Cat(Cat(counts).any() for counts in passes), "active")
        left, goes_on = Signal(experts), Signal()
        taken = self.wire(dut.pick.valid & ready, "taken")
        number, held_batch = Signal(range(experts + 1)), Signal()
        self.assume(~(begins & goes_on))
        picked = self.wire(Const(1) << pick.expert, "picked")
        with m.If(begins):
            m.d.sync += [left.eq(active), goes_on.eq(1), number.eq(0), held_batch.eq(batch)]
        with m.Elif(taken):
            m.d.sync += [left.eq(left & ~picked), goes_on.eq((left & ~picked).any()), number.eq(number + 1)]
        with m.Elif(dut.nothing):
            m.d.sync += goes_on.eq(0)
        stops = Array(Cat(count.any() for count in counts) for counts in passes)
        self.claim("once", "a pick is an active expert that was not picked", (left & picked).any(), when=dut.pick.valid)
        self.claim("once", "where it has passes", pick.stops == stops[pick.expert], when=dut.pick.valid)
        self.claim("once", "which is the last", pick.last == ~(left & ~picked).any(), when=dut.pick.valid)
        self.claim("once", "of the batch that was formed", pick.batch == held_batch, when=dut.pick.valid)
        self.claim("once", "picks only while there is a batch with somebody left", goes_on, when=dut.pick.valid | dut.nothing)
        self.claim("once", "nothing to load is said when there is nothing", ~active.any(), when=dut.nothing)
        most = config.count_words + experts + dut.latency_cycles  # cycles from the counts, or from a pick, to the next pick
        waits = Signal(range(most + 1))
        m.d.sync += waits.eq(Mux(goes_on & ~dut.pick.valid & ~dut.nothing, waits + (waits != most), 0))
        self.claim("once", "an expert is picked, or none is active, in time", waits != most)
        waited = self.past(dut.pick.valid & ~ready, "waited")
        self.claim("once", "a pick holds until it is taken",
                   dut.pick.valid & (pick.as_value() == self.past(pick.as_value(), "pick_before")), when=waited)
        self.reach(taken & pick.last & (number == experts - 1))
        self.reach(dut.pick.valid & ~ready)


_ASSUMES = ("counts as they came, a cycle after they are read (exchange-counts); the next batch after the last pick "
            "(loads-arrivals)")
PROOFS = (
    Proof(name="order-once", block="ExpertOrder", spec=ExpertOrderSpec, group="once", size="3 experts, 2 tiles, 0 or 1 pass",
          assumes=_ASSUMES, cuts=("spec.dut/w:cost", "spec.dut/w:least"),
          says="a pick is an active expert that was not picked; each active expert is picked once, in time, whatever the "
          "costs; the last pick says so",
          mutants=("order-picked-again", "order-tail-left-out", "order-last-early"), reach_bound=60),
)
