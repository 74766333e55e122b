"""The D2D router: four neighbours and the tile itself, as much of a crossbar as the ring needs."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import NamedTuple

from amaranth.hdl import Module, Mux, Signal, Value, ValueLike
from amaranth.lib import data, enum, stream
from amaranth.lib.wiring import In, Out

from trajectile.hw.d2d.count_fifo import CountFifo
from trajectile.hw.d2d.credit_fifo import CreditFifo
from trajectile.hw.d2d.layouts import NEIGHBOURS, FlitKind, LinkLayouts, Port
from trajectile.hw.d2d.port import LanePort, Message, SliceFlit, SumsFlit
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.struct_signal import struct_signal
from trajectile.hw.rules.ports import ControlPort
from trajectile.sw_model.config.topology import most_passing

#: for each port whether it is the one that is meant
Which = Mapping[Port, Value]
#: what a lane carries at each port: whether there is anything, and what
Pins = Mapping[Port, tuple[Value, data.View]]


class Lane(NamedTuple):
    """A control lane at the ports."""

    name: str
    #: of a message
    layout: data.Layout
    #: what comes
    come: Pins
    #: what goes
    go: Pins


#: the last register of a lane's way out
Leaves = Callable[[Module, object, Lane, str, Value, Value, Which], tuple[Value, Value]]


class Router(Block):
    """Moves flits, requests, grants, permits and words of the count exchange along the ring.

    A directed link carries one ring edge at most (``sw_model/config/topology.py``). So all traffic of a port has one source
    and one end in a tile, and nothing is ever arbitrated. Slices, requests and count words of the ring-previous tile arrive
    by ``previous`` and end here; those of this tile leave by ``next``. Grants and permits go the other way. A ring edge may
    also run over this tile: its traffic arrives by ``pass_from`` and leaves by ``pass_to``. In arrays without such an edge
    this part is left out.

    A slice that ends here has its slot, so its flits are taken as they arrive, without a FIFO. So are flits of sums and
    records: whoever takes them has room for them, or has not permitted them. A flit that passes waits in a
    :class:`~trajectile.hw.d2d.credit_fifo.CreditFifo` for the next link. A credit goes back for every flit. Where the ports
    have a link layer, a count word waits in a :class:`~trajectile.hw.d2d.count_fifo.CountFifo` until that has room.

    Latency: a flit at the pins in cycle c is at ``arrival`` in c+1; a flit that passes is on the next link in c+1
    (``latency_cycles`` = 1). A flit at ``local_in`` is on the link in the same cycle. A message of this tile is on the link
    after ``control_cycles`` = 2; one that ends here is shown as it arrives. A credit can be spent again a round trip
    of the link and ``credit_cycles`` = 3 after its flit went. Throughput: one flit per cycle and way. Storage: the flit that
    just arrived, in flip-flops. For flits that pass, one more and the FIFO; with a link layer the FIFO for count words. There
    is none at the way out: a flit waits at the expert buffer's SRAM, or is the one that just arrived, and the PHY has a
    register of its own.
    """

    latency_cycles = 1
    control_cycles = 2
    #: a register each: the flit that came, its credit, the count of credits
    credit_cycles = latency_cycles + 2

    north: LanePort.Interface
    east: LanePort.Interface
    south: LanePort.Interface
    west: LanePort.Interface
    previous: enum.EnumView
    next: enum.EnumView
    local_in: stream.Interface
    arrival: Message.Interface
    slices: SliceFlit.Interface
    sums: SumsFlit.Interface
    records: Message.Interface
    control: ControlPort.Interface
    count: Message.Interface
    count_in: Message.Interface
    permit: Message.Interface
    permit_in: Message.Interface
    flit_out: Signal
    passes: Signal
    pass_from: enum.EnumView
    pass_to: enum.EnumView

    def __init__(self, params: LinkLayouts):
        self.params = params
        #: ring edges that run over a tile, 0 or 1
        self.passing = most_passing(params.config.array)
        super().__init__({
            "north": Out(LanePort(params)),  #: lanes to and from the tile above
            "east": Out(LanePort(params)),  #: to the right
            "south": Out(LanePort(params)),  #: below
            "west": Out(LanePort(params)),  #: to the left
            "previous": In(Port),  #: the port towards the ring-previous tile
            "next": In(Port),  #: the port towards the ring-next tile
            **({
                "passes": In(1),  #: a ring edge between two others runs over this tile
                "pass_from": In(Port),  #: from the tile behind this port
                "pass_to": In(Port),  #: to the tile behind this one
            } if self.passing else {}),
            "local_in": In(stream.Signature(params.flit_layout)),  #: flits of this tile
            "arrival": Out(Message(params.flit_layout)),  #: a flit for this tile, whatever its kind
            "slices": Out(SliceFlit(params)),  #: the same if it is of a slice, to the receiver
            **({
                "sums": Out(SumsFlit(params)),  #: if it is of sums, to the reduction
                "records": Out(Message(params.flit_layout)),  #: if it is of records, to the record port
            } if params.config.array.shares else {}),
            "control": In(ControlPort(params)),  #: control lanes, from and to the rule engine
            "count": In(Message(params.count_layout)),  #: from the count exchange, to the ring-next tile
            "count_in": Out(Message(params.count_layout)),  #: to the count exchange, from the ring-previous tile
            **({
                "permit": In(Message(params.permit_layout)),  #: to the ring-previous tile: it may send records or sums
                "permit_in": Out(Message(params.permit_layout)),  #: from the ring-next tile: this tile may
            } if params.config.array.shares else {}),
            "flit_out": Out(1),  #: a flit of this tile goes out (for the counter)
        })

    def elaborate(self, platform: object) -> Module:
        """Data lane first, then the control lanes."""
        m = Module()
        previous, next_ = self._which(self.previous), self._which(self.next)
        pass_from: Which = {}
        pass_to: Which = {}
        if self.passing:
            pass_from, pass_to = self._which(self.pass_from, self.passes), self._which(self.pass_to, self.passes)
        self._arrive(m, previous)
        own, passing = self._way(m, "own", self.local_in, next_), None
        m.d.comb += self.flit_out.eq(self.local_in.valid & self.local_in.ready)
        if self.passing:
            passing = self._way(m, "pass", self._queue(m, platform, pass_from), pass_to)
        flits = {port: (pins.tx.flit.valid, pins.tx.flit.payload) for port, pins in self.ports.items()}
        self._drive(m, flits, next_, own, pass_to, passing)
        requests = Lane("request", self.params.request_layout,
                        {port: (pins.rx.request_valid, pins.rx.request) for port, pins in self.ports.items()},
                        {port: (pins.tx.request_valid, pins.tx.request) for port, pins in self.ports.items()})
        grants = Lane("grant", self.params.grant_layout,
                      {port: (pins.rx.grant_valid, pins.rx.grant) for port, pins in self.ports.items()},
                      {port: (pins.tx.grant_valid, pins.tx.grant) for port, pins in self.ports.items()})
        counts = Lane("count", self.params.count_layout,
                      {port: (pins.rx.count_valid, pins.rx.count) for port, pins in self.ports.items()},
                      {port: (pins.tx.count_valid, pins.tx.count) for port, pins in self.ports.items()})
        control, waits = self.control, self._waits if self.params.config.link.crc_bits else self._registered
        self._control(m, platform, requests, control.request, control.request_in, previous, next_, pass_from, pass_to)
        self._control(m, platform, grants, control.grant, control.grant_in, next_, previous, pass_to, pass_from)
        self._control(m, platform, counts, self.count, self.count_in, previous, next_, pass_from, pass_to, waits)
        if self.params.config.array.shares:
            permits = Lane("permit", self.params.permit_layout,
                           {port: (pins.rx.permit_valid, pins.rx.permit) for port, pins in self.ports.items()},
                           {port: (pins.tx.permit_valid, pins.tx.permit) for port, pins in self.ports.items()})
            self._control(m, platform, permits, self.permit, self.permit_in, next_, previous, pass_to, pass_from)
        return m

    @property
    def ports(self) -> dict[Port, LanePort.Interface]:
        """The ports with a link."""
        return {Port.NORTH: self.north, Port.EAST: self.east, Port.SOUTH: self.south, Port.WEST: self.west}

    @staticmethod
    def _which(number: enum.EnumView, any_: Value | int = 1) -> Which:
        """Port number decoded; none with ``any_`` low."""
        return {port: (number == port) & any_ for port in NEIGHBOURS}

    def _arrive(self, m: Module, previous: Which) -> None:
        """What ends here: a register, and the receiver takes whatever stands there."""
        # Contents need no reset: ``arrival.valid`` says whether there are any.
        taken = Signal(self.params.flit_layout, reset_less=True)
        credit = Signal()
        comes = Signal(name="flit_comes")
        coming = struct_signal(self.params.flit_layout, name="coming")
        m.d.comb += [
            comes.eq(_of(previous, {port: pins.rx.flit_valid for port, pins in self.ports.items()})),
            coming.eq(_of(previous, {port: pins.rx.flit for port, pins in self.ports.items()})),
        ]
        of_slice = comes
        if self.params.config.array.shares:
            of_slice = comes & (coming.kind == FlitKind.SLICE)
            # Much hangs on which kind it is, so that is known from a register.
            of_sums, of_records = (comes & (coming.kind == kind) for kind in (FlitKind.SUMS, FlitKind.RECORD))
            m.d.sync += [self.sums.valid.eq(of_sums), self.records.valid.eq(of_records)]
            m.d.comb += [
                self.sums.payload.eq(taken), self.records.payload.eq(taken),
                self.sums.next_valid.eq(of_sums), self.sums.next_head.eq(coming.head),
            ]
        m.d.sync += [
            self.arrival.valid.eq(comes), taken.eq(coming), credit.eq(self.arrival.valid),
            self.slices.header.eq(of_slice & coming.head), self.slices.payload.eq(of_slice & ~coming.head),
        ]
        m.d.comb += [self.arrival.payload.eq(taken), self.slices.flit.eq(taken)]
        for port, pins in self.ports.items():
            with m.If(previous[port]):
                m.d.comb += pins.tx.credit.eq(credit)

    def _queue(self, m: Module, platform: object, pass_from: Which) -> stream.Interface:
        """What passes waits in a FIFO; returns its head."""
        fifo = CreditFifo(self.params)
        place(m, platform, pass_fifo=fifo)
        m.d.comb += [
            fifo.write.eq(_of(pass_from, {port: pins.rx.flit_valid for port, pins in self.ports.items()})),
            fifo.flit.eq(_of(pass_from, {port: pins.rx.flit for port, pins in self.ports.items()})),
        ]
        for port, pins in self.ports.items():
            with m.If(pass_from[port]):
                m.d.comb += pins.tx.credit.eq(fifo.credit)
        return fifo.head

    def _way(self, m: Module, name: str, source: stream.Interface, which: Which) -> tuple[Value, Value]:
        """A way out: flits go while the far end has room for them. Returns whether there is a flit, and the flit."""
        depth = self.params.config.link_credits
        credits = Signal(range(depth + 1), init=depth, name=f"{name}_credits")
        room = Signal(name=f"{name}_room")
        valid = Signal(name=f"{name}_valid")
        m.d.comb += [
            room.eq(credits != 0), valid.eq(source.valid & room),
            source.ready.eq(room & _of(which, {port: pins.tx.flit.ready for port, pins in self.ports.items()})),
        ]
        m.d.sync += credits.eq(credits - (source.valid & source.ready)
                               + _of(which, {port: pins.rx.credit for port, pins in self.ports.items()}))
        return valid, source.payload

    def _registered(self, m: Module, platform: object, lane: Lane, name: str, valid: Value, message: Value,
                    which: Which) -> tuple[Value, Value]:
        """A message one cycle later."""
        later = Signal(name=f"{lane.name}_{name}_valid")
        content = Value.cast(Signal(lane.layout, name=f"{lane.name}_{name}", reset_less=True))
        m.d.sync += [later.eq(valid), content.eq(message)]
        return later, content

    def _waits(self, m: Module, platform: object, lane: Lane, name: str, valid: Value, message: Value,
               which: Which) -> tuple[Value, Value]:
        """A count word one cycle later, or as soon as the link layer has room for it."""
        fifo = CountFifo(self.params)
        place(m, platform, {f"{lane.name}_{name}_fifo": fifo})
        m.d.comb += [
            fifo.write.eq(valid), fifo.flit.eq(message),
            fifo.head.ready.eq(_of(which, {port: pins.tx.flit.ready for port, pins in self.ports.items()})),
        ]
        return fifo.head.valid, Value.cast(fifo.head.payload)

    def _control(self, m: Module, platform: object, lane: Lane, own_message: Message.Interface, arrived: Message.Interface,
                 came_by: Which, goes_by: Which, pass_from: Which, pass_to: Which, leaves: Leaves | None = None) -> None:
        """One of the control lanes: a register at the way out, two for this tile's own message."""
        leaves = leaves or self._registered
        came = {port: valid for port, (valid, _) in lane.come.items()}
        messages = {port: Value.cast(content) for port, (_, content) in lane.come.items()}
        m.d.comb += [arrived.valid.eq(_of(came_by, came)), arrived.payload.eq(_of(came_by, messages))]
        sent = self._registered(m, platform, lane, "sent", own_message.valid, Value.cast(own_message.payload), goes_by)
        own, passing = leaves(m, platform, lane, "own", *sent, goes_by), None
        if self.passing:
            passing = leaves(m, platform, lane, "pass", _of(pass_from, came), _of(pass_from, messages), pass_to)
        self._drive(m, lane.go, goes_by, own, pass_to, passing)

    def _drive(self, m: Module, lane: Pins, own_by: Which, own: tuple[Value, Value], pass_by: Which,
               passing: tuple[Value, Value] | None) -> None:
        """A lane's pins. Without traffic of its own a port shows this tile's, and says that it is not valid."""
        for port, (valid, out) in lane.items():
            m.d.comb += [valid.eq(own[0] & own_by[port]), out.eq(own[1])]
            if passing:
                with m.If(pass_by[port]):
                    m.d.comb += [valid.eq(passing[0]), out.eq(passing[1])]


def _of(which: Which, values: Mapping[Port, ValueLike]) -> Value:
    """The value of the port that is meant, zero if none is: an AND-OR."""
    parts: Sequence[Value] = [Mux(which[port], Value.cast(values[port]), 0) for port in values]
    return reduce(or_, parts)
