"""Several ports as one: every burst goes to the port whose turn it is, and beats come as if there were one port."""

from amaranth.hdl import Array, Cat, Signal

from tests.formal.spec import Proof, Spec
from trajectile.hw.ddr.splitter import DdrSplitter

#: bits of the spec's counts of bursts
COUNT_BITS = 4


class SplitterSpec(Spec):
    """Any loader that keeps to AXI4; ports that answer what they were asked, each in its order, at any pace."""

    count = 2

    def build(self) -> None:
        m, count = self.m, self.count
        m.submodules.dut = self.dut = dut = DdrSplitter(4, 3, count)
        ddr = dut.ddr
        names = ("araddr", "arlen", "arsize", "arburst")
        for name in (*names, "arvalid"):
            m.d.comb += getattr(ddr, name).eq(self.free(len(getattr(ddr, name)), f"loader_{name}"))
        m.d.comb += ddr.rready.eq(self.free(1, "loader_rready"))
        offer = Cat(ddr.arvalid, *(getattr(ddr, name) for name in names))
        waited = self.past(ddr.arvalid & ~ddr.arready, "waited")
        self.assume(~waited | (offer == self.past(offer, "offer_before")))
        # Bursts that each port was asked for and has not answered to the end.
        asked = Signal(COUNT_BITS)  # bursts of all ports
        ended = Signal(COUNT_BITS)
        owed = [Signal(COUNT_BITS, name=f"owed_{number}") for number in range(count)]
        asks = self.wire(ddr.arvalid & ddr.arready, "asks")
        ends = self.wire(ddr.rvalid & ddr.rready & ddr.rlast, "ends")
        m.d.sync += [asked.eq(asked + asks), ended.eq(ended + ends)]
        under_way = Signal(COUNT_BITS)  # the counts may have begun anew
        m.d.comb += under_way.eq(asked - ended)
        for number, port in enumerate(dut.ports):
            for name in ("arready", "rvalid", "rdata", "rresp", "rlast"):
                m.d.comb += getattr(port, name).eq(self.free(len(getattr(port, name)), f"port_{number}_{name}"))
            m.d.sync += owed[number].eq(owed[number] + (port.arvalid & port.arready)
                                        - (port.rvalid & port.rready & port.rlast))
            self.assume(~port.rvalid | (owed[number] != 0))
            held = self.past(port.rvalid & ~port.rready, f"held_{number}")
            beat = Cat(port.rvalid, port.rdata, port.rresp, port.rlast)
            self.assume(~held | (beat == self.past(beat, f"beat_before_{number}")))
        self.assume(~asks | (under_way < 2 ** COUNT_BITS - 2 * count))
        self._address(asked, names)
        self._beats(ended, under_way, owed)
        self.reach(under_way == count + 2)
        self.reach(ends & asks)

    def _address(self, asked: Signal, names: tuple[str, ...]) -> None:
        """The address channels."""
        dut, ddr, turn = self.dut, self.dut.ddr, self.wire(asked % self.count, "turn")
        for number, port in enumerate(dut.ports):
            self.claim("address", "a burst is offered to the port whose turn it is, and to no other",
                       port.arvalid == (ddr.arvalid & (turn == number)))
            for name in names:
                self.claim("address", f"as the loader offers it: {name}", getattr(port, name) == getattr(ddr, name),
                           when=port.arvalid)
            waited = self.past(port.arvalid & ~port.arready, f"port_waited_{number}")
            self.claim("address", "ARVALID holds until ARREADY", port.arvalid, when=waited)
            offer = Cat(getattr(port, name) for name in names)
            self.claim("address", "and so does what is offered", offer == self.past(offer, f"port_offer_{number}"),
                       when=waited)
        self.claim("address", "a burst is taken when its port takes it",
                   ddr.arready == Array(port.arready for port in dut.ports)[turn], when=ddr.arvalid)

    def _beats(self, ended: Signal, under_way: Signal, owed: list[Signal]) -> None:
        """The data channels. Of the bursts under way the first is that of number ``ended``."""
        dut, ddr, count = self.dut, self.dut.ddr, self.count
        turn = self.wire(ended % count, "turn_of_beats")
        for number, port in enumerate(dut.ports):
            mine = self.wire((number - ended) % count, f"before_{number}")  # bursts before the port's first one
            self.claim("beats", "each port owes its share of the bursts under way",
                       owed[number] == (under_way + count - 1 - mine) // count)
            self.claim("beats", "a port may send when its burst is the oldest, and the loader takes beats",
                       port.rready == (ddr.rready & (turn == number)))
        for name in ("rvalid", "rdata", "rresp", "rlast"):
            self.claim("beats", f"what comes is what that port sends: {name}",
                       getattr(ddr, name) == Array(getattr(port, name) for port in dut.ports)[turn])
        self.claim("beats", "nothing comes that was not asked for", under_way != 0, when=ddr.rvalid)


class FourPortsSpec(SplitterSpec):
    """The same with four."""

    count = 4


_ASSUMES = "the loader keeps to AXI4 (loader-address); each port answers its own bursts in order, and nothing else (AXI4)"


def _proofs(spec: type[SplitterSpec], *, quick: bool) -> tuple[Proof, ...]:
    size = f"{spec.count} ports, beats of 3 bits"
    return (
        Proof(name=f"splitter-address-{spec.count}", block="DdrSplitter", spec=spec, group="address", size=size,
              assumes=_ASSUMES, says="every burst goes to one port, unchanged, in turn; AXI4's rules hold at each port",
              mutants=("splitter-turn-early", "splitter-all-ports"), quick=quick, reach_bound=20),
        Proof(name=f"splitter-beats-{spec.count}", block="DdrSplitter", spec=spec, group="beats", size=size, assumes=_ASSUMES,
              says="beats and responses come in the order of the bursts, each once, as their port sends them",
              mutants=("splitter-any-port", "splitter-turn-by-beat", "splitter-errors-lost"), quick=quick),
    )


PROOFS = (*_proofs(SplitterSpec, quick=True), *_proofs(FourPortsSpec, quick=False))
