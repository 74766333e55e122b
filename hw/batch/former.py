"""What forms a batch: from the lists of all tiles to the slices that this one loads."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.batch.count_exchange import CountExchange
from trajectile.hw.batch.expert_order import ExpertOrder
from trajectile.hw.batch.load_maker import LoadMaker
from trajectile.hw.batch.ports import CountPort, FormPort
from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.d2d.port import Message
from trajectile.hw.lib.block import Block, place


class BatchFormer(Block):
    """Joins count exchange, expert order and load maker. All tiles compute the same order from the same counts, so nobody
    distributes it.

    ``form.start`` comes when the tile's lists are complete and ``made`` was given for the batch before.

    Latency: with ``form.start`` in cycle s the first word goes to the ring in s+1 at the earliest (``latency_cycles`` = 1).
    From the last word of all tiles, kept in w, to the first pick: w + 1 + ``count_words`` + ``experts`` + 3, with
    ``fixed_cycles`` = 4 of these. Throughput and storage: those of the three blocks.
    """

    latency_cycles = CountExchange.latency_cycles
    #: from the last word to the first pick, without the words of the survey and the experts of the scan
    fixed_cycles = CountExchange.report_cycles + ExpertOrder.latency_cycles

    form: FormPort.Interface
    counts: CountPort.Interface
    word_out: Message.Interface
    word_in: Message.Interface
    load: stream.Interface
    position: Signal
    arrivals: Signal
    waits: Signal
    count_sent: Signal
    picked: Signal
    picked_expert: Signal

    def __init__(self, params: LinkLayouts):
        self.params = params
        super().__init__({
            "form": In(FormPort(params)),  #: batch control
            "counts": Out(CountPort(params)),  #: lengths of this tile's lists
            "word_out": Out(Message(params.count_layout)),  #: count lane to the ring-next tile
            "word_in": In(Message(params.count_layout)),  #: and from the ring-previous one
            "load": Out(stream.Signature(params.load_layout)),  #: to the loader
            "position": In(range(params.config.array.tiles)),  #: of this tile in the ring
            "arrivals": Out(params.arrival_bits),  #: slices of the batch formed last that arrive, from ``made`` on
            "waits": Out(params.config.tile.batches),  #: a load entry of the batch waits, a bit for each
            "count_sent": Out(1),  #: event: a word of this tile goes
            "picked": Out(1),  #: event: an expert is taken for loading
            "picked_expert": Out(params.expert_bits),  #: that expert
        })

    def elaborate(self, platform: object) -> Module:
        """Three blocks in a row."""
        m = Module()
        params, form = self.params, self.form
        exchange, order, maker = CountExchange(params), ExpertOrder(params), LoadMaker(params)
        place(m, platform, count_exchange=exchange, expert_order=order, load_maker=maker)
        connect(m, exchange.formed, order.formed)
        connect(m, order.pick, maker.pick)
        connect(m, exchange.passes, flipped(self.counts))
        connect(m, exchange.word_out, flipped(self.word_out))
        connect(m, flipped(self.word_in), exchange.word_in)
        connect(m, maker.load, flipped(self.load))
        m.d.comb += [
            exchange.start.eq(form.start), exchange.batch.eq(form.batch), exchange.order.eq(form.order),
            exchange.tag.eq(form.tag), *([exchange.shared.eq(form.shared)] if params.config.array.shares else []),
            form.formed.eq(exchange.formed.formed), form.made.eq(maker.made), form.disagree.eq(exchange.disagree),
            maker.formed.eq(exchange.formed.formed), maker.nothing.eq(order.nothing), maker.position.eq(self.position),
            self.arrivals.eq(maker.arrivals), self.waits.eq(maker.waits), self.count_sent.eq(exchange.sent),
            self.picked.eq(order.pick.valid & order.pick.ready), self.picked_expert.eq(order.pick.payload.expert),
        ]
        return m
