"""The order of loads: which of the experts that are left is loaded next, found while the one before is loading."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from trajectile.hw.batch.layouts import BatchLayouts, Order
from trajectile.hw.batch.ports import FormedPort
from trajectile.hw.lib.block import Block
from trajectile.hw.lib.chain import chain
from trajectile.sw_model.config import COUNTS_PER_WORD


class ExpertOrder(Block):
    """Picks the experts of a batch one by one, by the passes that they take on each tile (docs/scheduling.md).

    When all counts are here they are read once, a word per cycle, for the passes of each tile and the number A of active
    experts. Then all experts are looked at once for each pick, one per cycle, and the one of the least cost is picked among
    those that have passes somewhere and were not picked. The cost of an expert with c passes on a tile, and the tie rule:

    * ``INDEX``: zero; the lowest.
    * ``PAIRED``: for even picks the passes on all tiles, negative; the lowest. For odd picks the same, positive; the highest.
    * ``BALANCED``: the sum over tiles of ``|E + A * c|``; the lowest. E, times A, is how far a tile is ahead of its mean pace
      when one more expert has gone by: it begins with minus the tile's passes, and after a pick becomes ``E + A * c`` minus
      the tile's passes.

    Latency: with ``formed`` in cycle F words are read from F to F + words - 1, and the first scan begins in F + words.
    Expert e of a scan that begins in q is looked at in q + e, and the pick is offered in q + experts + 3
    (``latency_cycles`` = 3). Taken in t, the next scan begins in t+1 (``scan_cycles`` = 1). A batch without any active expert
    is reported by ``nothing`` one cycle after the first scan began (``nothing_cycles`` = 1). Throughput: a word, or an
    expert, per cycle. Storage: a bit for each expert; for each tile its passes, E and a product; the best expert so far.
    """

    latency_cycles = 3
    scan_cycles = 1
    nothing_cycles = 1

    formed: FormedPort.Interface
    pick: stream.Interface
    nothing: Signal

    def __init__(self, params: BatchLayouts):
        self.params = params
        super().__init__({
            "formed": In(FormedPort(params)),  #: everybody's counts
            "pick": Out(stream.Signature(params.pick_layout)),  #: the next expert to load
            "nothing": Out(1),  #: strobe: no expert of the batch is active
        })

    def elaborate(self, platform: object) -> Module:
        """The position, then what happens to an expert in the cycles after it was read."""
        m = Module()
        params, config = self.params, self.params.config
        experts, tiles, words = config.layer.experts, config.array.tiles, config.count_words
        formed, pick = self.formed, self.pick.payload
        lag = self.latency_cycles

        # Position: words of the survey, then experts; the pipeline runs on for some cycles.
        survey = Signal()
        scan = Signal()
        offer = Signal()
        at = Signal(range(max(experts + lag, words)), name="looked_at")
        surveyed = Signal()
        paired = Signal()
        balanced = Signal()
        first_scan = Signal()
        active = Signal(range(experts + 1))
        picked = Signal.like(active, name="picked")
        done = Signal()
        m.d.comb += [
            surveyed.eq(survey | formed.formed),
            done.eq(picked + 1 == active),
            self.nothing.eq(scan & first_scan & (at == 1) & (active == 0)),
        ]
        with m.If(surveyed):
            m.d.sync += [at.eq(at + 1), survey.eq(1)]
            with m.If(at == words - 1):
                m.d.sync += [at.eq(0), survey.eq(0), scan.eq(1)]
        with m.If(scan):
            m.d.sync += at.eq(at + 1)
            with m.If(at == experts + lag - 1):
                m.d.sync += [scan.eq(0), offer.eq(1)]
        with m.If(self.nothing):
            m.d.sync += [scan.eq(0), at.eq(0)]
        with m.If(self.pick.valid & self.pick.ready):
            m.d.sync += [offer.eq(0), scan.eq(~done), at.eq(0), first_scan.eq(0), picked.eq(picked + 1)]
        with m.If(formed.formed):
            m.d.sync += [
                paired.eq(formed.order == Order.PAIRED), balanced.eq(formed.order == Order.BALANCED),
                pick.batch.eq(formed.batch), first_scan.eq(1), picked.eq(0),
            ]
            if config.array.shares:
                m.d.sync += pick.shared.eq(formed.shared)

        # What is read: a word in the survey and for every four experts, and the word of the best expert once more, for E.
        best = pick.expert
        found = Signal()  # there is a best expert
        again = Signal()
        select = Signal(range(COUNTS_PER_WORD))
        looked_at = scan & (at < experts)
        m.d.comb += [
            formed.read.eq(surveyed | (looked_at & (at % COUNTS_PER_WORD == 0)) | again),
            formed.number.eq(Mux(offer, best, at) // COUNTS_PER_WORD),
        ]
        with m.If(surveyed):
            m.d.comb += formed.number.eq(at)
        m.d.sync += [again.eq(scan & (at == experts + lag - 1)), select.eq(Mux(offer, best, at) % COUNTS_PER_WORD)]
        counts = [formed.counts[tile][select] for tile in range(tiles)]

        # One cycle after it was read: the product. Two: the cost. Three: the comparison.
        costs = self._costs(m, counts, scale=Mux(balanced, active, paired), surveyed=surveyed, again=again,
                            balanced=balanced, active=active)
        looked = chain(m, "looked", Value.cast(looked_at), range(1, lag + 1), reset_less=False)
        stops = chain(m, "stops", Value.cast(_tiles_with(counts)), range(2, lag + 1))
        most = paired & ~picked[0]  # the most passes are wanted
        cost = Signal(len(costs), reset_less=True)
        least = Signal.like(cost, name="least", reset_less=True)
        tie = paired & picked[0]  # of equals the last
        m.d.sync += cost.eq(costs ^ most.replicate(len(cost)))
        expert = Signal(params.expert_bits)
        gone = Signal(experts, reset_less=True)  # who was picked before the last pick; turns with the scan
        last_pick = Signal(params.expert_bits, reset_less=True)
        out = Signal()
        m.d.comb += [expert.eq(at - lag), out.eq(~first_scan & (gone[0] | (expert == last_pick)))]
        with m.If(looked[-1]):
            m.d.sync += gone.eq(Cat(gone[1:], out))
            with m.If(stops[-1].any() & ~out & (~found | (Cat(Const(0, 1), cost) < Cat(tie, least)))):
                m.d.sync += [found.eq(1), best.eq(expert), pick.stops.eq(stops[-1]), least.eq(cost)]
        m.d.comb += [self.pick.valid.eq(offer), pick.last.eq(done)]
        with m.If(offer):
            m.d.sync += [found.eq(0), last_pick.eq(best)]
        return m

    def _costs(self, m: Module, counts: list[Value], *, scale: Value, surveyed: Value, again: Value, balanced: Value,
               active: Signal) -> Value:
        """The survey, and the cost of an expert two cycles after it was read."""
        config = self.params.config
        tiles = range(config.array.tiles)
        most_passes = min(config.tile.tokens * config.layer.top_k, config.layer.experts * config.tile.lane_tokens)
        # |E + A * c| is less than A times the passes of the tile for whoever can be picked, and E no less than minus that
        bits = bits_for(config.layer.experts * most_passes - 1) + 1
        surveys = chain(m, "surveyed", surveyed, range(1, 3), reset_less=False)
        agains = chain(m, "again", again, range(1, 3), reset_less=False)
        words = self.formed.counts
        magnitudes, signs = [], []
        for tile in tiles:
            product = Signal(len(counts[tile]) + len(scale), name=f"product_{tile}", reset_less=True)
            total = Signal(range(most_passes + 1), name=f"passes_{tile}", reset_less=True)
            ahead = Signal(signed(bits), name=f"ahead_{tile}", reset_less=True)
            now = Signal(signed(bits), name=f"ahead_with_{tile}")
            m.d.sync += product.eq(counts[tile] * scale)
            m.d.comb += now.eq(ahead + product)
            with m.If(self.formed.formed):
                m.d.sync += total.eq(0)
            with m.Elif(surveys[1] & balanced):
                m.d.sync += total.eq(total + sum(words[tile][number] for number in range(COUNTS_PER_WORD)))
            with m.If(surveys[2] | (agains[2] & balanced)):
                m.d.sync += ahead.eq(Mux(agains[2], now, 0) - total)
            sign = now[-1]
            signs.append(sign)
            magnitudes.append(now.as_unsigned()[:-1] ^ sign.replicate(bits - 1))
        with m.If(self.formed.formed):
            m.d.sync += active.eq(0)
        with m.Elif(surveys[1]):
            m.d.sync += active.eq(active + sum(
                _tiles_with([words[tile][number] for tile in tiles]).any() for number in range(COUNTS_PER_WORD)))
        return sum(magnitudes, start=sum(signs[1:], start=signs[0]))


def _tiles_with(counts: Sequence[Value]) -> Value:
    """A bit for each tile: it has passes."""
    return Cat(count.any() for count in counts)
