"""The AXI4-Lite subordinate: the protocol's rules towards the host, one access at a time towards the registers."""

from amaranth.hdl import Mux, Signal, Value

from tests.formal.spec import Proof, Spec
from trajectile.hw.host.access import AccessPort
from trajectile.hw.host.axi import Response


class AccessSpec(Spec):
    """A host that keeps the rules of AXI, registers that answer as they like."""

    def build(self) -> None:
        m = self.m
        m.submodules.dut = self.dut = dut = AccessPort()
        host = dut.host
        for path, member, value in dut.signature.flatten(dut):
            if member.flow.name == "In":
                m.d.comb += Value.cast(value).eq(self.free(len(Value.cast(value)), "_".join(map(str, path))))
        for channel, payload in (("aw", (host.awaddr,)), ("w", (host.wdata, host.wstrb)), ("ar", (host.araddr,))):
            valid, ready = getattr(host, f"{channel}valid"), getattr(host, f"{channel}ready")
            self.assume(~self.past(valid & ~ready, f"{channel}_waits") | valid)
            for number, value in enumerate(payload):
                self.assume(~self.past(valid & ~ready, f"{channel}_waits_{number}")
                            | (value == self.past(value, f"{channel}_before_{number}")))
        self.shown = Signal()  # an access is chosen, and comes in the next cycle
        self._write()
        self._read()

    def _write(self) -> None:
        """Address and data come in any order, then there is one access and one response."""
        m, host, access = self.m, self.dut.host, self.dut.access
        have_address, have_data, respond = Signal(), Signal(), Signal()
        address, data, strobes = Signal(10), Signal(32), Signal(4)
        response = Signal(2)
        with m.If(access.write):
            m.d.sync += [have_address.eq(0), have_data.eq(0), respond.eq(1),
                         response.eq(Mux(access.writable, Response.OKAY, Response.SLVERR))]
        with m.Elif(host.bvalid & host.bready):
            m.d.sync += respond.eq(0)
        with m.If(host.awvalid & host.awready):
            m.d.sync += [have_address.eq(1), address.eq(host.awaddr[2:])]
        with m.If(host.wvalid & host.wready):
            m.d.sync += [have_data.eq(1), data.eq(host.wdata), strobes.eq(host.wstrb)]
        self.claim("write", "nothing is accepted over what has not been done",
                   ~(have_address & host.awready) & ~(have_data & host.wready))
        ready = self.wire(have_address & have_data, "write_ready")
        self.chosen = self.wire(ready & ~self.shown & ~access.write, "write_chosen")
        before = self.wire(self.past(self.chosen, "write_was_chosen"), "write_shown")
        self.claim("write", "an access two cycles after address and data are here, and no access is under way",
                   access.write == self.past(before, "write_was_shown"))
        self.claim("write", "what was asked for, from the cycle before on", access.writes & (access.address == address)
                   & (access.data == data) & (access.whole == strobes.all()), when=access.write | before)
        self.ready = ready
        self.claim("write", "one response for each, until it is taken", host.bvalid == respond)
        self.claim("write", "the one that the registers gave", host.bresp == response, when=host.bvalid)
        self.claim("write", "B is stable", host.bvalid & (host.bresp == self.past(host.bresp, "bresp_before")),
                   when=self.past(host.bvalid & ~host.bready, "b_waits"))
        self.reach(host.bvalid & (host.bresp == Response.SLVERR))
        self.reach(access.write & self.past(self.past(access.read, "before"), "after_read"))

    def _read(self) -> None:
        """One access and one response for each address."""
        m, host, access = self.m, self.dut.host, self.dut.access
        have_address, respond, address = Signal(), Signal(), Signal(10)
        response, data = Signal(2), Signal(32)
        with m.If(access.read):
            m.d.sync += [
                have_address.eq(0), respond.eq(1), response.eq(Mux(access.readable, Response.OKAY, Response.SLVERR)),
                data.eq(Mux(access.readable, access.value, 0)),
            ]
        with m.Elif(host.rvalid & host.rready):
            m.d.sync += respond.eq(0)
        with m.If(host.arvalid & host.arready):
            m.d.sync += [have_address.eq(1), address.eq(host.araddr[2:])]
        self.claim("read", "nothing is accepted over what has not been done", ~(have_address & host.arready))
        chosen = self.wire(have_address & ~self.shown & ~access.read & (~self.ready | access.write), "read_chosen")
        m.d.sync += self.shown.eq(chosen | self.chosen)
        before = self.wire(self.past(chosen, "read_was_chosen"), "read_shown")
        self.claim("read", "an access two cycles after the address is here, if no other write is and no access under way",
                   access.read == self.past(before, "read_was_shown"))
        self.claim("read", "what was asked for, from the cycle before on",
                   (access.address == address) & ~access.writes, when=before | access.read)
        self.claim("read", "one response for each, until it is taken", host.rvalid == respond)
        self.claim("read", "what the registers gave, or zero", (host.rresp == response) & (host.rdata == data),
                   when=host.rvalid)
        same = ((host.rresp == self.past(host.rresp, "rresp_before"))
                & (host.rdata == self.past(host.rdata, "rdata_before")))
        self.claim("read", "R is stable", host.rvalid & same, when=self.past(host.rvalid & ~host.rready, "r_waits"))
        self.claim("read", "never both", ~(access.write & access.read))
        self.reach(host.rvalid & (host.rresp == Response.OKAY) & (host.rdata == 5))
        self.reach(host.rvalid & host.bvalid)


_ASSUMES = "the host keeps what it offers until it is taken (AXI)"
PROOFS = (
    Proof(name="axi-lite-write", block="AccessPort", spec=AccessSpec, group="write", assumes=_ASSUMES, size="as built",
          says="each write is one access and one response; B holds until taken",
          mutants=("access-b-not-held", "access-write-without-data", "access-response-forgotten"),
          quick=True, reach_bound=12),
    Proof(name="axi-lite-read", block="AccessPort", spec=AccessSpec, group="read", size="as built",
          assumes=_ASSUMES, says="each read is one access and one response; R holds until taken",
          mutants=("access-r-not-held", "access-read-again")),
)
