"""The router: every way is one stream, nothing lost or duplicated, credits conserved, control messages delivered."""

from amaranth.hdl import Cat, Mux, Signal, Value
from amaranth.lib import data

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.d2d import router
from trajectile.hw.d2d.layouts import FlitKind, Port
from trajectile.hw.d2d.port import Message
from trajectile.hw.d2d.router import Router
from trajectile.hw.params import Params

CREDITS = 3


class FreeFifo(router.CreditFifo):
    """Stands for the FIFO of what passes: any flits at any time. What the real one does is proved in credit_fifo_spec."""

    def __init__(self, params: Params):
        super().__init__(params)
        self.valid, self.flit_at_head = Signal(), Signal(params.flit_layout)
        self.credit_back = Signal()

    def elaborate(self, platform: object) -> router.Module:
        m = router.Module()
        m.d.comb += [self.head.valid.eq(self.valid), self.head.payload.eq(self.flit_at_head),
                     self.credit.eq(self.credit_back)]
        return m


def router_params() -> Params:
    """A tile of a row of three: a ring edge may pass."""
    params = tiny(array__rows=1, array__cols=3, array__ddr_tiles=(0,), array__dataflows="both", tile__slots=2, tile__slices=1,
                  layer__experts=2, layer__top_k=1, credits=CREDITS, timing_only=True)
    members = dict(params.flit_layout.members) | {"payload": params.header_layout.size}  # no room for records: less state
    params.flit_layout = data.StructLayout(members)
    return params


class Ways:
    """Any ports for the ways through a tile, as the topology gives them: no two ways come or go by the same port."""

    def __init__(self, spec: Spec, dut: Router):
        self.previous, self.next = (spec.constant(Port, name) for name in ("previous", "next"))
        self.pass_from, self.pass_to = (spec.constant(Port, name) for name in ("pass_from", "pass_to"))
        self.passes = spec.constant(1, "passes")
        for name in ("previous", "next", "pass_from", "pass_to", "passes"):
            spec.m.d.comb += getattr(dut, name).eq(getattr(self, name))
        for port in (self.previous, self.next, self.pass_from, self.pass_to):
            spec.assume(Value.cast(port) < Port.LOCAL.value)
        spec.assume(~self.passes | ((self.previous != self.pass_from) & (self.next != self.pass_to)))
        spec.assume(~self.passes | (self.pass_from != self.pass_to))

    def at(self, port: Port, chosen: Signal) -> Value:
        """The way takes this port."""
        return (chosen == port) & (self.passes if chosen is self.pass_from or chosen is self.pass_to else 1)

    def pick(self, chosen: Signal, values: dict) -> Value:
        """The value of the way's port; zero without a way."""
        result = 0
        for port, value in values.items():
            result = Mux(self.at(port, chosen), Value.cast(value), result)
        return result


class RouterSpec(Spec):
    """Any flits and messages at its pins and inside, any stalls."""

    def build(self) -> None:
        m = self.m
        self.params = params = router_params()
        fifo = FreeFifo(params)
        router.CreditFifo = lambda _: fifo  # in this process only: see convert.py
        m.submodules.dut = self.dut = dut = Router(params)
        self.pins = pins = dut.ports
        self.ways = ways = Ways(self, dut)
        for port, pin in pins.items():
            name = port.name
            m.d.comb += [
                pin.tx.flit.ready.eq(self.free(1, f"ready_{name}")), pin.rx.credit.eq(self.free(1, f"credit_{name}")),
                pin.rx.flit_valid.eq(self.free(1, f"comes_{name}")),
                pin.rx.flit.eq(self.free(params.flit_layout, f"flit_{name}")),
            ]
        # In: what ends here, and what passes.
        comes = self.wire(ways.pick(ways.previous, {port: pin.rx.flit_valid for port, pin in pins.items()}), "comes")
        flit = self.wire(ways.pick(ways.previous, {port: pin.rx.flit for port, pin in pins.items()}), "comes_flit")
        came = self.past(comes, "came")
        self.claim("once", "what comes from the ring-previous tile is there in the next cycle, and nothing else",
                   dut.arrival.valid == came)
        self.claim("once", "unchanged", dut.arrival.payload.as_value() == self.past(flit, "came_flit"), when=came)
        shown = data.View(params.flit_layout, flit)
        of_slice = self.wire(comes & (shown.kind == FlitKind.SLICE), "of_slice")
        self.claim("once", "a flit of a slice is told by what it is, another one is not", Cat(
            dut.slices.header, dut.slices.payload) == self.past(Mux(of_slice, Mux(shown.head, 0b01, 0b10), 0), "told"))
        self.claim("once", "the same flit", dut.slices.flit.as_value() == dut.arrival.payload.as_value())
        for name, port, kind in (("sums", dut.sums, FlitKind.SUMS), ("records", dut.records, FlitKind.RECORD)):
            told = self.past(self.wire(comes & (shown.kind == kind), f"of_{name}"), f"told_{name}")
            self.claim("once", f"a flit of {name} likewise", port.valid == told)
            self.claim("once", f"and that very flit ({name})", port.payload.as_value() == dut.arrival.payload.as_value())
        self.claim("once", "that sums come is said in the cycle before, and whether they close a token",
                   dut.sums.next_valid & (dut.sums.next_head == shown.head), when=comes & (shown.kind == FlitKind.SUMS))
        self.claim("once", "and of nothing else", comes & (shown.kind == FlitKind.SUMS), when=dut.sums.next_valid)
        passing = self.wire(ways.pick(ways.pass_from, {port: pin.rx.flit_valid for port, pin in pins.items()}), "passing")
        self.claim("once", "what passes goes into the FIFO, and nothing else",
                   (fifo.write == passing) & (~passing | (fifo.flit.as_value() == ways.pick(
                       ways.pass_from, {port: pin.rx.flit for port, pin in pins.items()}))))
        back = self.free(1, "fifo_credit")
        m.d.comb += fifo.credit_back.eq(back)
        arrived = self.past(came, "arrived")
        for port, pin in pins.items():
            self.claim("credits", "a credit for each flit, where it came from", pin.tx.credit == (
                (ways.at(port, ways.previous) & arrived) | (ways.at(port, ways.pass_from) & back)))
        # Out: this tile's own flits, and what has passed.
        sources = {"own": (dut.local_in, ways.next), "pass": (fifo.head, ways.pass_to)}
        for name, (head, chosen) in sources.items():
            valid, offered = self.free(1, f"{name}_valid"), self.free(params.flit_layout, f"{name}_flit")
            if name == "own":
                m.d.comb += [head.valid.eq(valid), head.payload.eq(offered)]
            else:
                m.d.comb += [fifo.valid.eq(valid), fifo.flit_at_head.eq(offered)]
                self.assume(~valid | ways.passes)  # what never comes is never at its head
            self._leaves(name, self.wire(valid & head.ready, f"{name}_goes"), valid, offered, chosen)
        for port, pin in pins.items():
            used = ways.at(port, ways.next) | ways.at(port, ways.pass_to)
            self.claim("once", "nothing leaves by another port", used, when=pin.tx.flit.valid)
        self.claim("once", "the counter counts this tile's own flits",
                   dut.flit_out == (dut.local_in.valid & dut.local_in.ready))
        self._control("request", dut.control.request, dut.control.request_in)
        self._control("grant", dut.control.grant, dut.control.grant_in)
        self._control("permit", dut.permit, dut.permit_in)
        self._control("count", dut.count, dut.count_in)

    def _leaves(self, name: str, goes: Signal, valid: Value, offered: Value, chosen: Signal) -> None:
        """One way out."""
        m, pins, ways = self.m, self.pins, self.ways
        out_valid = self.wire(ways.pick(chosen, {port: pin.tx.flit.valid for port, pin in pins.items()}),
                              f"{name}_out_valid")
        out = self.wire(ways.pick(chosen, {port: pin.tx.flit.payload for port, pin in pins.items()}), f"{name}_out")
        ready = self.wire(ways.pick(chosen, {port: pin.tx.flit.ready for port, pin in pins.items()}), f"{name}_ready")
        credit = self.wire(ways.pick(chosen, {port: pin.rx.credit for port, pin in pins.items()}), f"{name}_credit")
        outstanding = Signal(range(CREDITS + 2), name=f"{name}_outstanding")
        self.claim("once", "what stands at the way's end stands there, and nothing else, as long as there is a credit",
                   out_valid == (valid & (outstanding != CREDITS)))
        self.claim("once", "unchanged", out == offered.as_value(), when=out_valid)
        self.claim("once", "it goes when the link takes it, and not before", goes == (out_valid & ready))
        self.assume(~credit | (outstanding != 0))
        m.d.sync += outstanding.eq(outstanding + goes - credit)
        self.claim("credits", "no flit without a credit", outstanding <= CREDITS)
        self.claim("credits", "no credit is lost: with one left and the link free, a flit goes", goes,
                   when=valid & ready & (outstanding != CREDITS))
        self.reach(goes & offered.tail)
        self.reach(outstanding == CREDITS)

    def _control(self, lane: str, sends: Message.Interface, here: Message.Interface) -> None:
        """Requests and count words go as slices do, grants and permits against them."""
        m, ways, pins = self.m, self.ways, self.pins
        layout = getattr(self.params, f"{lane}_layout")
        own_valid, own = self.free(1, f"{lane}_own"), self.free(layout, f"{lane}_own_message")
        m.d.comb += [sends.valid.eq(own_valid), sends.payload.eq(own)]
        came_by, goes_by, pass_from, pass_to = (ways.previous, ways.next, ways.pass_from, ways.pass_to)
        if lane in ("grant", "permit"):
            came_by, goes_by, pass_from, pass_to = goes_by, came_by, pass_to, pass_from
        valid, message = {}, {}
        for port, pin in pins.items():
            valid[port] = self.free(1, f"{lane}_{port.name}")
            message[port] = self.free(layout, f"{lane}_{port.name}_message")
            m.d.comb += [getattr(pin.rx, f"{lane}_valid").eq(valid[port]), getattr(pin.rx, lane).eq(message[port])]
        comes = self.wire(ways.pick(came_by, valid), f"{lane}_comes")
        self.claim("control", f"a {lane} from the right port is here at once, and nothing else is",
                   here.valid == comes)
        self.claim("control", "unchanged", here.payload.as_value() == ways.pick(came_by, message), when=comes)
        sent, twice = self.past(own_valid, f"{lane}_before"), self.past(own.as_value(), f"{lane}_message_before")
        sent, twice = self.past(sent, f"{lane}_before_that"), self.past(twice, f"{lane}_message_before_that")
        passed = self.past(ways.pick(pass_from, valid), f"{lane}_passed")
        content = self.past(ways.pick(pass_from, message), f"{lane}_passed_message")
        for port, pin in pins.items():
            out_valid, out = getattr(pin.tx, f"{lane}_valid"), getattr(pin.tx, lane).as_value()
            goes, passes = ways.at(port, goes_by) & sent, ways.at(port, pass_to) & passed
            self.claim("control", f"a {lane} of this tile leaves two cycles later, one that passes after one",
                       out_valid == (goes | passes))
            self.claim("control", "unchanged", out == Mux(passes, content, twice), when=goes | passes)
        self.reach(comes)
        self.reach(passed)


class WholeRouterSpec(Spec):
    """The router with its real FIFO, from pin to pin: what passes is followed, its flits are marked."""

    def build(self) -> None:
        m = self.m
        params = router_params()
        m.submodules.dut = dut = Router(params)
        pins = dut.ports
        ways = Ways(self, dut)
        self.assume(ways.passes)
        left, back = [], []
        for port, pin in pins.items():
            name = port.name
            valid, flit = self.free(1, f"valid_{name}"), self.free(params.flit_layout, f"flit_{name}")
            ready, credit = self.free(1, f"ready_{name}"), self.free(1, f"credit_{name}")
            m.d.comb += [pin.rx.flit_valid.eq(valid), pin.rx.flit.eq(flit), pin.tx.flit.ready.eq(ready),
                         pin.rx.credit.eq(credit)]
            follows = self.wire(ways.at(port, ways.pass_from), f"follows_{name}")
            # The mark is a bit that the router does not look at.
            self.assume(data.View(params.header_layout, flit.payload[:params.header_layout.size]).index == follows)
            held = Signal(range(CREDITS + 1), init=CREDITS, name=f"held_{name}")
            self.assume(~valid | (held != 0))
            m.d.sync += held.eq(held - valid + pin.tx.credit)
            outstanding = Signal(range(CREDITS + 1), name=f"outstanding_{name}")
            out = data.View(params.header_layout, pin.tx.flit.payload.payload[:params.header_layout.size])
            self.assume(~credit | (outstanding != 0))
            m.d.sync += outstanding.eq(outstanding + (pin.tx.flit.valid & ready) - credit)
            left.append(pin.tx.flit.valid & ready & out.index)
            back.append(pin.tx.credit & follows)
        m.d.comb += dut.local_in.valid.eq(0)
        # A credit goes back in the cycle after a flit has left its FIFO, and with it the tile.
        gone = self.past(Cat(left).any(), "gone")
        self.claim("flow", "a credit goes back for a flit that has left the tile, once, in the next cycle", sum(back) == gone)
        self.reach(Cat(left).any() & pins[Port.NORTH].tx.flit.payload.tail & ways.at(Port.NORTH, ways.pass_to))


_SIZE = f"any ports, one edge that passes or none, {CREDITS} credits"
_ASSUMES = "no two ways come or go by the same port (tests/sw_model/config/test_topology.py)"


def _proof(group: str, says: str, *mutants: str, assumes: str = "", **others: object) -> Proof:
    others = {"spec": RouterSpec} | others
    return Proof(name=f"router-{group}", block="Router", group=group, says=says, size=_SIZE,
                 assumes="; ".join(filter(None, (_ASSUMES, assumes))), mutants=mutants, **others)


PROOFS = (
    _proof("once", "every way is one stream: what stands at its end is what its source offers, unchanged, and it is taken "
           "from the source when the link takes it",
           "router-everywhere", "router-takes-unsent", "router-takes-any", "router-passes-any", "router-any-kind",
           "router-any-other", reach_bound=14),
    _proof("credits", "no flit without a credit; no credit is lost; a flit that may go goes; a credit goes back for each "
           "flit",
           "router-credit-not-spent", "router-credit-lost", "router-credit-unchecked", "router-credit-everywhere",
           assumes="a credit comes back for a flit that was sent (fifo-credits, router-credits)", quick=True),
    _proof("control", "a request, grant, permit or count word takes its way, once, unchanged, one cycle per tile",
           "router-grant-as-request", "router-permit-as-request", "router-request-kept", "router-count-kept"),
    _proof("flow", "pin to pin, with the real FIFO: a credit goes back for every flit that passes, once, in the cycle after "
           "it has left the tile", "router-credit-forged", spec=WholeRouterSpec, bound=20, reach_bound=10,
           assumes="as many flits as credits; credits for what was sent (router-credits)"),
)
