"""The D2D router: four neighbours and the tile itself."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hw.d2d.credit_fifo import CreditFifo
from hw.d2d.port import LanePort
from hw.lib.emit import Block, place
from hw.params import NEIGHBOURS, Params, Port


class Router(Block):
    """Moves slice packets flit by flit (wormhole), and requests and grants one a cycle, by the routing table.

    A header flit takes an output that no packet holds; the output is its packet's until the tail has passed. Where two
    inputs want an output, traffic from neighbours goes before the tile's own, lower port numbers first. Routes follow the
    ring (``sw_model/topology.py``), on which no two packets ever want the same output at once, so nothing starves.

    Latency: a flit at an input FIFO's head, or at ``local_in``, in cycle c is on the link in c+1; to ``local_out`` it goes
    in the same cycle. Throughput: one flit a cycle and output. Storage: four input FIFOs, one flit an output.
    """

    def __init__(self, params: Params):
        self.params = params
        flits = stream.Signature(params.flit_layout)
        tiles = params.config.array.tiles
        super().__init__({
            **{port.name.lower(): Out(LanePort(params)) for port in NEIGHBOURS},
            "tile_id": In(params.tile_bits),  #: number of this tile
            "route": In(data.ArrayLayout(Port, tiles)),  #: output port by destination tile
            "local_in": In(flits),  #: from the sender
            "local_out": Out(flits),  #: to the receiver
            "request_in": In(1),  #: from the rule engine: send a request
            "request": In(params.request_layout),
            "grant_in": In(1),  #: from the rule engine: send a grant
            "grant": In(params.grant_layout),
            "request_out": Out(1),  #: for the rule engine: a request has come
            "request_here": Out(params.request_layout),
            "grant_out": Out(1),  #: for the rule engine: a grant has come
            "grant_here": Out(params.grant_layout),
            "flit_out": Out(1),  #: a flit of this tile's own goes out (for the counter)
        })

    def elaborate(self, platform: object) -> Module:
        """Data lane first, then the control lanes."""
        m = Module()
        params = self.params
        ports = {port: getattr(self, port.name.lower()) for port in NEIGHBOURS}
        inputs = {}
        for port, pins in ports.items():
            fifo = CreditFifo(params)
            place(m, platform, **{f"fifo_{port.name.lower()}": fifo})
            m.d.comb += [fifo.write.eq(pins.rx.flit_valid), fifo.flit.eq(pins.rx.flit), pins.tx.credit.eq(fifo.credit)]
            inputs[port] = fifo.head
        inputs[Port.LOCAL] = self.local_in
        self._data(m, inputs, ports)
        for lane in ("request", "grant"):
            self._control(m, lane, ports)
        m.d.comb += self.flit_out.eq(self.local_in.valid & self.local_in.ready)
        return m

    def _data(self, m: Module, inputs: dict, ports: dict) -> None:
        """Route of each input, owner of each output, crossbar."""
        params, flit_layout = self.params, self.params.flit_layout
        wants = {}
        for source, flits in inputs.items():
            # A packet's route is read from its header and kept until its tail has gone.
            inside, kept = Signal(name=f"inside_{source.name}"), Signal(Port, name=f"kept_{source.name}")
            header = data.View(params.header_layout, flits.payload.payload[:params.header_layout.size])
            wants[source] = port = Signal(Port, name=f"wants_{source.name}")
            with m.If(inside):
                m.d.comb += port.eq(kept)
            with m.Elif(header.dst == self.tile_id):
                m.d.comb += port.eq(Port.LOCAL)
            with m.Else():
                m.d.comb += port.eq(self.route[header.dst])
            with m.If(flits.valid & flits.ready):
                m.d.sync += [inside.eq(~flits.payload.tail), kept.eq(port)]

        for target in Port:
            sources = [source for source in inputs if source is not target]
            owned, owner = Signal(name=f"owned_{target.name}"), Signal(Port, name=f"owner_{target.name}")
            chosen, flit = Signal(name=f"chosen_{target.name}"), Signal(flit_layout, name=f"flit_{target.name}")
            room = Signal(name=f"room_{target.name}")
            taken = None
            for source in sources:
                flits = inputs[source]
                asks = flits.valid & (wants[source] == target) & (~owned | (owner == source))
                mine = Signal(name=f"{source.name}_to_{target.name}")
                m.d.comb += mine.eq(asks if taken is None else asks & ~taken)
                taken = mine if taken is None else taken | mine
                with m.If(mine):
                    m.d.comb += [chosen.eq(1), flit.eq(flits.payload), flits.ready.eq(room)]
                    with m.If(room):
                        m.d.sync += [owned.eq(~flits.payload.tail), owner.eq(source)]
            if target is Port.LOCAL:
                m.d.comb += [self.local_out.valid.eq(chosen), self.local_out.payload.eq(flit),
                             room.eq(self.local_out.ready)]
                continue
            tx, rx = ports[target].tx, ports[target].rx
            credits = Signal(range(params.config.link_credits + 1), init=params.config.link_credits,
                             name=f"credits_{target.name}")
            free = ~tx.flit.valid | tx.flit.ready
            m.d.comb += room.eq(free & (credits != 0))
            m.d.sync += credits.eq(credits - (chosen & room) + rx.credit)
            with m.If(free):
                m.d.sync += [tx.flit.valid.eq(chosen & room), tx.flit.payload.eq(flit)]

    def _control(self, m: Module, lane: str, ports: dict) -> None:
        """One of the control lanes: a message a cycle and output, a register at each. The ring keeps messages apart."""
        layout = getattr(self.params, f"{lane}_layout")
        sent, own = Signal(name=f"{lane}_own_valid"), Signal(layout, name=f"{lane}_own")
        m.d.sync += [sent.eq(getattr(self, f"{lane}_in")), own.eq(getattr(self, lane))]
        sources = {Port.LOCAL: (sent, own)}
        for port, pins in ports.items():
            sources[port] = getattr(pins.rx, f"{lane}_valid"), getattr(pins.rx, lane)
        here, message = getattr(self, f"{lane}_out"), getattr(self, f"{lane}_here")
        for source, (valid, content) in sources.items():
            local = content.dst == self.tile_id
            if source is not Port.LOCAL:
                with m.If(valid & local):
                    m.d.comb += [here.eq(1), message.eq(content)]
        for target, pins in ports.items():
            out_valid, out = getattr(pins.tx, f"{lane}_valid"), getattr(pins.tx, lane)
            m.d.sync += out_valid.eq(0)
            for source, (valid, content) in sources.items():
                if source is target:
                    continue
                own_route = source is Port.LOCAL
                with m.If(valid & (own_route | (content.dst != self.tile_id)) & (self.route[content.dst] == target)):
                    m.d.sync += [out_valid.eq(1), out.eq(content)]
