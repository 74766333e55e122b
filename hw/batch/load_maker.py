"""From experts to slices: the load entries of this tile's DDR channel, and how many slices will arrive from others."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.lib.block import Block
from trajectile.hw.lib.divide import quotient
from trajectile.hw.lib.struct_signal import struct_signal
from trajectile.sw_model.config.topology import ring

#: load entries that wait for rule 1
LOADS_WAITING = 4


class LoadMaker(Block):
    """Looks at the slices of each expert that is picked, one per cycle: those that lie in this tile's channel are loaded
    here, others arrive here if they have a stop here or further along.

    Slice ``number = expert * slices + index`` lies in channel ``number % channels``, at row ``number // channels``.

    Of a batch whose tokens are in every tile no slice arrives or goes on: each is computed where it is loaded.

    Latency: a pick taken in cycle t has its slice ``index`` looked at in t+1+index (``latency_cycles`` = 1), or later if
    entries wait for room in the FIFO, and the next pick can be taken in the cycle after the last index. An entry made in w is
    offered from w+1 on (``entry_cycles`` = 1). In the cycle after one is taken none is offered (``turn_cycles`` = 2: the
    loader is still asking then). ``made`` comes with the last index of the last pick, or with ``nothing``.
    Throughput: a slice is looked at per cycle, an entry taken every other cycle. Storage: the slice looked at,
    ``LOADS_WAITING`` entries, a count of arrivals.
    """

    latency_cycles = 1
    entry_cycles = 1
    turn_cycles = 2

    position: Signal
    formed: Signal
    nothing: Signal
    pick: stream.Interface
    load: stream.Interface
    made: Signal
    arrivals: Signal
    waits: Signal

    def __init__(self, params: BatchLayouts):
        self.params = params
        super().__init__({
            "position": In(range(params.config.array.tiles)),  #: of this tile in the ring
            "formed": In(1),  #: strobe: a batch begins
            "nothing": In(1),  #: strobe: and there is nothing to load
            "pick": In(stream.Signature(params.pick_layout)),  #: experts to load
            "load": Out(stream.Signature(params.load_layout)),  #: what rule 1 is to load
            "made": Out(1),  #: strobe: the last entry of the batch has been made
            "arrivals": Out(params.arrival_bits),  #: slices of the batch that arrive here, with the one that is looked at
            "waits": Out(params.config.tile.batches),  #: an entry of the batch waits, a bit for each
        })

    def elaborate(self, platform: object) -> Module:
        """The slice that is looked at, whose it is, the FIFO."""
        m = Module()
        params, config = self.params, self.params.config
        slices, channels, tiles = config.tile.slices, config.array.channels, config.array.tiles
        pick = self.pick.payload
        order = ring(config.array)

        # The slice that is looked at. What counts has a reset: mapped to cells, its next value may be made of itself and its
        # inverse even where it is loaded, so it would stay x for a simulator.
        busy = Signal()
        entry = struct_signal(params.load_layout, name="entry")
        channel = Signal(range(channels))
        last_pick = Signal(reset_less=True)
        ahead = pick.stops[1:]
        stays = Signal(reset_less=True)  # slices of the batch do not travel
        if config.array.shares:
            ahead = Mux(pick.shared, 0, ahead)
        moves = Signal()
        last = entry.index == slices - 1
        number = Signal(range(config.layer.experts * slices))
        row = quotient(number, channels)
        m.d.comb += [number.eq(pick.expert * slices), self.pick.ready.eq(~busy)]
        with m.If(busy):
            with m.If(moves):
                m.d.sync += [entry.index.eq(entry.index + 1), channel.eq(channel + 1), busy.eq(~last)]
                with m.If(channel == channels - 1):
                    m.d.sync += [channel.eq(0), entry.row.eq(entry.row + 1)]
        with m.Elif(self.pick.valid):
            m.d.sync += [
                busy.eq(1), channel.eq(number - row * channels), last_pick.eq(pick.last), entry.row.eq(row),
                entry.index.eq(0), entry.expert.eq(pick.expert), entry.batch.eq(pick.batch),
                entry.here.eq(pick.stops[0]), entry.ahead.eq(ahead),
            ]
            if config.array.shares:
                m.d.sync += stays.eq(pick.shared)

        # Its home is so many tiles behind; it comes here if it has a stop here or further along, before its home.
        behind = Signal(range(tiles))
        with m.Switch(channel):
            for which, tile in enumerate(config.array.ddr_tiles):
                home = order.index(tile)
                with m.Case(which):
                    wraps = self.position < home if home else Const(0)
                    m.d.comb += behind.eq(Mux(wraps, self.position + (tiles - home), self.position - home))
        own = behind == 0
        stops = Cat(entry.here, entry.ahead)
        comes = Cat(stops[:tiles - distance].any() for distance in range(tiles)).bit_select(behind, 1)
        arrives = busy & ~own & comes
        if config.array.shares:
            arrives &= ~stays
        count = Signal(params.arrival_bits)
        m.d.comb += self.arrivals.eq(count + arrives)
        m.d.sync += count.eq(Mux(self.formed, 0, self.arrivals))

        # Entries that wait.
        level = Signal(range(LOADS_WAITING + 1))
        push = Signal()
        m.d.comb += [
            push.eq(busy & own & (level != LOADS_WAITING)),
            moves.eq(~own | push),
            self.made.eq((busy & moves & last & last_pick) | self.nothing),
        ]
        takes = self.load.valid & self.load.ready
        moving = Signal()  # an entry was taken in the cycle before: the others move up in this one
        waiting = [struct_signal(params.load_layout, name=f"waiting_{place}", reset_less=True)
                   for place in range(LOADS_WAITING)]
        after = Signal.like(level, name="level_after")  # at the end of this cycle
        m.d.comb += [self.load.payload.eq(waiting[0]), after.eq(level - takes + push)]
        m.d.sync += [level.eq(after), self.load.valid.eq((after != 0) & ~takes), moving.eq(takes)]
        # Rule 1 says late in the cycle that it takes one. A place that is free takes whatever entry is looked at.
        for place, register in enumerate(waiting):
            with m.If(level <= place):
                m.d.sync += register.eq(entry)
            if place + 1 < LOADS_WAITING:
                with m.Elif(moving):
                    m.d.sync += register.eq(waiting[place + 1])
            there = Mux(moving, (level >= place) if place else 0, level > place)
            for batch in range(config.tile.batches):
                with m.If(there & (register.batch == batch)):
                    m.d.comb += self.waits[batch].eq(1)
        return m
