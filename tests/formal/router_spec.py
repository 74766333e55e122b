"""The router: whole packets to the right port, nothing lost or duplicated, credits conserved, control messages delivered."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data

from hw.d2d import router
from hw.d2d.router import NEIGHBOURS, Router
from hw.params import Params, Port
from tests.formal.spec import Proof, Spec, tiny

TILES = 4
CREDITS = 3


class FreeFifo(router.CreditFifo):
    """Stands for an input FIFO: any flits at any time. What the real one does is proved in credit_fifo_spec."""

    def __init__(self, params: Params, port: Port):
        super().__init__(params)
        self.valid = Signal(name=f"valid_{port.name}")
        self.flit_at_head = Signal(params.flit_layout, name=f"flit_{port.name}")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += [self.head.valid.eq(self.valid), self.head.payload.eq(self.flit_at_head)]
        return m


def router_params() -> Params:
    """A tile of a 2x2 array."""
    return tiny(array__rows=2, array__cols=2, array__ddr_tiles=(0,), tile__slots=2, tile__slices=1, layer__experts=2,
                layer__top_k=1, credits=CREDITS, timing_only=True)


def drive_table(spec: Spec, dut: Router, params: Params) -> tuple[Signal, Array]:
    """Any tile number and any legal routing table: another tile is reached over a neighbour."""
    tile_id = spec.constant(params.tile_bits, "tile_id")
    route = Array(spec.constant(Port, f"route_{tile}") for tile in range(TILES))
    for tile in range(TILES):
        spec.assume((Value.cast(route[tile]) < Port.LOCAL.value) | (tile_id == tile))
    spec.m.d.comb += [dut.tile_id.eq(tile_id), *(dut.route[tile].eq(route[tile]) for tile in range(TILES))]
    return tile_id, route


class RouterSpec(Spec):
    """The crossbar, with any streams of packets at its five inputs and any stalls at its five outputs."""

    def build(self) -> None:
        m = self.m
        self.params = params = router_params()
        fifos = {port: FreeFifo(params, port) for port in NEIGHBOURS}
        supply = iter(fifos.values())
        router.CreditFifo = lambda _: next(supply)  # in this process only: see convert.py
        m.submodules.dut = self.dut = dut = Router(params)
        pins = {port: getattr(dut, port.name.lower()) for port in NEIGHBOURS}
        tile_id, route = drive_table(self, dut, params)
        m.d.comb += dut.local_out.ready.eq(self.free(1, "local_ready"))
        for port, pin in pins.items():
            m.d.comb += [pin.tx.flit.ready.eq(self.free(1, f"ready_{port.name}")),
                         pin.rx.credit.eq(self.free(1, f"credit_{port.name}"))]
        self._data(tile_id, route, fifos, pins)
        for lane in ("request", "grant"):
            self._control(lane, tile_id, route, pins)

    def _data(self, tile_id: Value, route: Array, fifos: dict, pins: dict) -> None:
        """What is taken from an input goes to one output."""
        m, dut, params = self.m, self.dut, self.params
        heads, offers = {}, {}
        for source in Port:
            valid, flit = self.free(1, f"valid_{source.name}"), self.free(params.flit_layout, f"flit_{source.name}")
            if source is Port.LOCAL:
                heads[source] = dut.local_in
                m.d.comb += [dut.local_in.valid.eq(valid), dut.local_in.payload.eq(flit)]
            else:
                heads[source] = fifos[source].head
                m.d.comb += [fifos[source].valid.eq(valid), fifos[source].flit_at_head.eq(flit)]
            offers[source] = valid, flit
        taken, port = {}, {}
        for source, (valid, flit) in offers.items():
            # A packet: a header flit, payload flits, the last one with tail. What is offered stays until it is taken.
            name = source.name
            taken[source] = self.wire(valid & heads[source].ready, f"taken_{name}")
            inside, kept = Signal(name=f"inside_{name}"), Signal(Port, name=f"kept_{name}")
            header = data.View(params.header_layout, flit.payload[:params.header_layout.size])
            port[source] = Signal(Port, name=f"port_{name}")
            m.d.comb += port[source].eq(Mux(inside, kept, Mux(header.dst == tile_id, Port.LOCAL, route[header.dst])))
            with m.If(taken[source]):
                m.d.sync += [inside.eq(~flit.tail), kept.eq(port[source])]
            self.assume(~valid | Mux(inside, ~flit.head, flit.head & ~flit.tail))
            self.assume(~self.past(valid & ~heads[source].ready, f"waited_{name}")
                        | (valid & (flit.as_value() == self.past(flit.as_value(), f"before_{name}"))))
            if source in (Port.NORTH, Port.LOCAL):
                self.reach(taken[source] & flit.tail)

        for target in Port:
            name = target.name
            goes = {source: self.wire(taken[source] & (port[source] == target), f"{source.name}_to_{name}")
                    for source in Port}
            wants = {source: offers[source][0] & (port[source] == target) & (source is not target) for source in Port}
            any_goes = self.wire(Cat(goes.values()).any(), f"goes_{name}")
            self.claim("once", "one at a time", sum(goes.values()) <= 1)
            # Which input's packet this output is in the middle of.
            owned, owner = Signal(name=f"spec_owned_{name}"), Signal(Port, name=f"spec_owner_{name}")
            moved = Signal(params.flit_layout, name=f"moved_{name}")
            for source, goes_here in goes.items():
                flit = offers[source][1]
                with m.If(goes_here):
                    m.d.comb += moved.eq(flit)
                    m.d.sync += [owned.eq(~flit.tail), owner.eq(source)]
                self.claim("whole", "a packet begins when the one before has ended, and nothing comes in between",
                           Mux(owned, ~flit.head & (owner == source), flit.head), when=goes_here)
            may = Cat(wants[source] & (~owned | (owner == source)) for source in Port).any()
            if target is Port.LOCAL:
                out = dut.local_out
                self.claim("once", "what is taken goes out, and nothing else", (out.valid & out.ready) == any_goes)
                self.claim("once", "unchanged", out.payload.as_value() == moved.as_value(), when=any_goes)
                self.claim("credits", "nothing waits without a reason", any_goes, when=may & out.ready)
                continue
            out = pins[target].tx.flit
            waits = self.past(out.valid & ~out.ready, f"waits_{name}")
            went = self.past(any_goes, f"went_{name}")
            self.claim("once", "what was taken stands there in the next cycle, and nothing else", out.valid == (waits | went))
            self.claim("once", "unchanged", out.payload.as_value() == self.past(moved.as_value(), f"moved_before_{name}"),
                       when=went)
            before = self.past(out.payload.as_value(), f"out_before_{name}")
            self.claim("once", "the output holds until it is taken", (out.payload.as_value() == before) & ~went, when=waits)
            credit = pins[target].rx.credit
            outstanding = Signal(range(CREDITS + 2), name=f"outstanding_{name}")
            self.assume(~credit | (outstanding != 0))
            m.d.sync += outstanding.eq(outstanding + any_goes - credit)
            self.claim("credits", "no flit without a credit", outstanding <= CREDITS)
            self.claim("credits", "no credit is lost: with one left and the link free, a flit goes", any_goes,
                       when=may & (~out.valid | out.ready) & (outstanding != CREDITS))
            if target is Port.EAST:
                self.reach(outstanding == CREDITS)

    def _control(self, lane: str, tile_id: Value, route: Array, pins: dict) -> None:
        """Requests and grants: at most one for an output and cycle, which the topology guarantees."""
        m, dut = self.m, self.dut
        layout = getattr(self.params, f"{lane}_layout")
        own_valid, own = self.free(1, f"{lane}_own"), self.free(layout, f"{lane}_own_message")
        self.assume(~own_valid | (own.dst != tile_id))
        m.d.comb += [getattr(dut, f"{lane}_in").eq(own_valid), getattr(dut, lane).eq(own)]
        sources = {Port.LOCAL: (self.past(own_valid, f"{lane}_own_before"),
                                data.View(layout, self.past(own.as_value(), f"{lane}_own_message_before")))}
        for port, pin in pins.items():
            valid, message = self.free(1, f"{lane}_{port.name}"), self.free(layout, f"{lane}_{port.name}_message")
            m.d.comb += [getattr(pin.rx, f"{lane}_valid").eq(valid), getattr(pin.rx, lane).eq(message)]
            sources[port] = valid, message
        for target in Port:
            goes = {source: valid & (Mux(message.dst == tile_id, Port.LOCAL, route[message.dst]) == target)
                    for source, (valid, message) in sources.items()}
            self.assume(sum(goes.values()) <= 1)
            self.assume(~goes[target])
            some = self.wire(Cat(goes.values()).any(), f"{lane}_for_{target.name}")
            content = Signal(layout, name=f"{lane}_content_{target.name}")
            for source, goes_here in goes.items():
                with m.If(goes_here):
                    m.d.comb += content.eq(sources[source][1])
            if target is Port.LOCAL:
                self.reach(some)
            if target is Port.LOCAL:
                valid, message = getattr(dut, f"{lane}_out"), getattr(dut, f"{lane}_here")
            else:
                tx = pins[target].tx
                valid, message = getattr(tx, f"{lane}_valid"), getattr(tx, lane)
                some = self.past(some, f"{lane}_went_{target.name}")
                content = data.View(layout, self.past(content.as_value(), f"{lane}_content_before_{target.name}"))
            self.claim("control", f"a {lane} goes to its port, and nothing else does", valid == some)
            self.claim("control", "unchanged", message.as_value() == content.as_value(), when=some)


class WholeRouterSpec(Spec):
    """The router with its real input FIFOs, from pin to pin: one input is followed, whose flits are marked."""

    def build(self) -> None:
        m = self.m
        params = router_params()
        m.submodules.dut = dut = Router(params)
        pins = {port: getattr(dut, port.name.lower()) for port in NEIGHBOURS}
        tile_id, route = drive_table(self, dut, params)
        followed = Port.WEST
        left, standing = [], []
        for port, pin in pins.items():
            name = port.name
            valid, flit = self.free(1, f"valid_{name}"), self.free(params.flit_layout, f"flit_{name}")
            ready, credit = self.free(1, f"ready_{name}"), self.free(1, f"credit_{name}")
            m.d.comb += [pin.rx.flit_valid.eq(valid), pin.rx.flit.eq(flit), pin.tx.flit.ready.eq(ready),
                         pin.rx.credit.eq(credit)]
            header = data.View(params.header_layout, flit.payload[:params.header_layout.size])
            # The mark is a bit that the router does not look at.
            self.assume(header.index == (port is followed))
            held = Signal(range(CREDITS + 1), init=CREDITS, name=f"held_{name}")
            self.assume(~valid | (held != 0))
            m.d.sync += held.eq(held - valid + pin.tx.credit)
            inside, kept = Signal(name=f"inside_{name}"), Signal(Port, name=f"kept_{name}")
            target = Mux(inside, kept, Mux(header.dst == tile_id, Port.LOCAL, route[header.dst]))
            self.assume(~valid | (Mux(inside, ~flit.head, flit.head & ~flit.tail) & (target != port)))
            with m.If(valid):
                m.d.sync += [inside.eq(~flit.tail), kept.eq(target)]
            outstanding = Signal(range(CREDITS + 1), name=f"outstanding_{name}")
            out = data.View(params.header_layout, pin.tx.flit.payload.payload[:params.header_layout.size])
            self.assume(~credit | (outstanding != 0))
            m.d.sync += outstanding.eq(outstanding + (pin.tx.flit.valid & ready) - credit)
            standing.append(pin.tx.flit.valid & out.index)
            left.append(pin.tx.flit.valid & ready & out.index)
        m.d.comb += dut.local_out.ready.eq(self.free(1, "local_ready"))
        here = data.View(params.header_layout, dut.local_out.payload.payload[:params.header_layout.size])
        left.append(dut.local_out.valid & dut.local_out.ready & here.index)
        # A credit goes back when a flit has left its FIFO: by then it is gone, or stands at an output.
        balance = Signal(signed(4))
        m.d.sync += balance.eq(balance + pins[followed].tx.credit - sum(left))
        self.claim("flow", "a flit that has left its FIFO has left the tile or stands at an output, once",
                   balance + pins[followed].tx.credit == sum(standing))
        self.reach(left[-1] & dut.local_out.payload.tail)
        self.reach(left[0] & pins[Port.NORTH].tx.flit.payload.tail)


_SIZE = f"{TILES} tiles, any routing table, {CREDITS} credits"
_ASSUMES = "inputs carry packets and hold until taken (fifo-order, sender-packet, router-whole)"


def _proof(group: str, says: str, *mutants: str, assumes: str = _ASSUMES, **others: object) -> Proof:
    others = {"spec": RouterSpec} | others
    return Proof(name=f"router-{group}", block="Router", group=group, says=says, size=_SIZE, assumes=assumes, mutants=mutants,
                 **others)


PROOFS = (
    _proof("once", "each flit that is taken comes out once, unchanged, at the port that the table gives for its packet's "
           "destination; outputs hold until taken",
           "router-first-entry", "router-body-rerouted", "router-drops-held", reach_bound=14),
    _proof("whole", "packets are whole: between header and tail an output carries flits of one packet only",
           "router-tail-ignored", "router-interleaves"),
    _proof("credits", "no flit without a credit; no credit is lost; a flit that may go goes",
           "router-credit-not-spent", "router-credit-lost", "router-credit-unchecked",
           assumes=_ASSUMES + "; a credit comes back for a flit that was sent (fifo-credits)", quick=True),
    _proof("control", "a request or grant goes to the port of its destination, once, unchanged, one cycle later",
           "router-grant-copied", "router-request-kept",
           assumes="at most one message for an output and cycle (the ring: tests/sw_model/test_topology.py)"),
    _proof("flow", "pin to pin, with the real FIFOs: a flit whose credit has gone back has left the tile or stands at an "
           "output, once", "router-credit-forged", spec=WholeRouterSpec, bound=20, reach_bound=10,
           assumes="packets that do not turn back, as many flits as credits; credits for what was sent (router-credits)"),
)
