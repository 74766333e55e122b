"""The records of a shared batch: one tile's after the other, from memory or from the ring, and on along the ring."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.io.ports import ReadBeats
from trajectile.hw.lib.block import Block


class PlacedItem(data.StructLayout):
    """An item of records, and what the parser is to know of its place among those of all tiles."""

    def __init__(self, params: LinkLayouts):
        super().__init__({
            **{name: field.shape for name, field in params.record_item_layout},
            "own": 1,  # of this tile's section; also of the only one of a spread batch
            "before": 1,  # of the ring-previous tile's
            "last": 1,  # the last one of heads, or of rows
        })


class RecordRing(Block):
    """Hands the records of all tiles to the parser, in the same order in every tile.

    The records of a shared batch come in two rounds, first the heads and then the rows of all tokens. A round has a section
    for each tile, in the order of the ring. A section is a header with the number of that tile's tokens, then the beats of
    its part of the records. This tile's own section is made of its number of tokens and of what it reads from memory, the
    others come from the ring-previous tile. Every item also goes on to the ring-next tile, unless the section is that tile's
    own. So an item is taken when there is room for it at the parser and, if it goes on, in the output register towards the
    ring-next tile. What is taken depends on no item that is offered, so each ``ready`` comes from registers.

    A spread batch has one section of heads and one of rows, both without a header: the beats pass through.

    Latency: with ``start`` in cycle c the first item is offered in c+1 (``latency_cycles`` = 1); from then on items pass
    through. Throughput: one item per cycle. Storage: whose section it is, in which round, whether its header is next, and how
    many beats of how many tokens are left.
    """

    latency_cycles = 1

    start: Signal
    shared: Signal
    tokens: Signal
    position: Signal
    own: stream.Interface
    come: stream.Interface
    go: stream.Interface
    items: stream.Interface

    def __init__(self, params: LinkLayouts):
        self.params = params
        super().__init__({
            "start": In(1),  #: the records of a batch are read; only when those of the one before are done
            "shared": In(1),  #: with it: all tiles read the records of all tiles
            "tokens": In(params.batch_token_bits),  #: with it: of this tile
            "position": In(params.tile_bits),  #: strap: place of this tile in the ring
            "own": In(stream.Signature(ReadBeats(params))),  #: beats of this tile's records
            "come": In(stream.Signature(params.record_item_layout)),  #: items from the ring-previous tile
            "go": Out(stream.Signature(params.record_item_layout)),  #: items to the ring-next tile; once there is room
            #: (``ready``, which must not wait for ``valid``) there is until one goes, and none is offered before
            "items": Out(stream.Signature(PlacedItem(params))),  #: to the parser; ``ready`` must not wait for ``valid``
        })

    def elaborate(self, platform: object) -> Module:
        """Whose section it is; where its items come from; whether they go on."""
        m = Module()
        config, items, go = self.params.config, self.items, self.go
        item = items.payload
        tiles, beat_bytes = config.array.tiles, config.io.bytes_per_cycle
        walks = Signal()  # the batch is shared
        source = Signal(self.params.tile_bits)  # whose section it is, by place in the ring
        own = Signal(init=1)  # this tile's
        goes_on = Signal()
        rows = Signal()  # in the second round
        header = Signal()  # is next
        tokens = Signal(self.params.batch_token_bits)  # of this tile
        left = Signal(self.params.batch_token_bits, name="tokens_left")  # of the section; this one too
        beat = Signal(range(max(config.head_bytes, config.row_bytes) // beat_bytes))  # of the token's head, or row
        following = Signal(self.params.tile_bits)  # whose is the next section
        last_source = source == tiles - 1
        last_beat = beat == Mux(rows, config.row_bytes // beat_bytes - 1, config.head_bytes // beat_bytes - 1)
        listed = item.payload[:len(tokens)]  # in a header
        may, taken, ends, last = (Signal(name=name) for name in ("may", "taken", "ends", "last"))
        m.d.comb += [
            following.eq(Mux(last_source, 0, source + 1)),
            ends.eq(Mux(header, listed == 0, last_beat & (left == 1))), last.eq(~walks | last_source),
            item.own.eq(own), item.before.eq(following == self.position), item.last.eq(ends & last),
        ]
        # A batch leaves `source`, `rows` and `beat` as the next one begins with them.
        with m.If(self.start):
            m.d.sync += [
                walks.eq(self.shared), header.eq(self.shared), tokens.eq(self.tokens), left.eq(self.tokens),
                own.eq(~self.shared | (self.position == 0)),
                goes_on.eq(self.shared & (self.position != tiles - 1)),
            ]
        with m.Elif(taken & ends):
            # the section after this tile's own is the ring-next tile's
            m.d.sync += [source.eq(Mux(last, 0, following)), header.eq(walks), left.eq(tokens), beat.eq(0),
                         own.eq(~walks | item.before), goes_on.eq(walks & ~own)]
            with m.If(last):
                m.d.sync += rows.eq(~rows)
                with m.If(rows):
                    m.d.sync += [walks.eq(0), header.eq(0), own.eq(1), goes_on.eq(0)]
        with m.Elif(taken & header):
            m.d.sync += [header.eq(0), left.eq(listed)]
        with m.Elif(taken):
            m.d.sync += [beat.eq(Mux(last_beat, 0, beat + 1)), left.eq(left - last_beat)]
        offered = Signal()  # there is an item
        room = ~goes_on | go.ready
        m.d.comb += [
            may.eq(items.ready & room), taken.eq(offered & may), items.valid.eq(offered & room),
            self.come.ready.eq(may & ~own), self.own.ready.eq(may & own & ~header), go.valid.eq(taken & goes_on),
            *(getattr(go.payload, name).eq(getattr(item, name)) for name, _ in self.params.record_item_layout),
        ]
        with m.If(~own):
            m.d.comb += [offered.eq(self.come.valid),
                         *(getattr(item, name).eq(getattr(self.come.payload, name))
                           for name, _ in self.params.record_item_layout)]
        with m.Elif(header):
            m.d.comb += [offered.eq(1), item.head.eq(1), item.payload.eq(tokens)]
        with m.Else():
            m.d.comb += [
                offered.eq(self.own.valid), item.error.eq(self.own.payload.error), item.payload.eq(self.own.payload.data)]
        return m
