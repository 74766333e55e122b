"""The host port: what the other blocks rely on while a batch runs, and an answer to every access in bounded time."""

from amaranth.hdl import Array, Cat, Mux, Signal, Value

from tests.formal.sender_spec import SIZE
from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.host.layouts import Table
from trajectile.hw.host.port import HostPort
from trajectile.sw_model.config import AXI_BOUNDARY_BYTES

#: cycles from the acceptance of a request to its response, at the most (5, and 3 for the other channel)
RESPONSE_CYCLES = 8


class HostSpec(Spec):
    """A host that writes and reads what it likes, tiles that start, stop and reset the array when they like."""

    def build(self) -> None:
        m, params = self.m, tiny(**SIZE)
        m.submodules.dut = self.dut = dut = HostPort(params)
        for path, member, value in dut.signature.flatten(dut):
            if member.flow.name == "In":
                m.d.comb += Value.cast(value).eq(self.free(len(Value.cast(value)), "_".join(map(str, path))))
        active = self.wire(dut.running | dut.clear, "active")
        table = dut.table
        self.claim("quiet", "tables are not touched from the cycle before a batch to its end",
                   ~table.write & ~dut.results.read, when=active)
        depths = Array(params.table_shape(Table(number))[0] if number < len(Table) else 0 for number in range(8))
        self.claim("quiet", "entries that are written exist", table.index < depths[Value.cast(table.table)], when=table.write)
        for name, setting in dut.settings.by_name.items():
            self.claim("quiet", f"{name} stays", setting == self.past(setting, f"{name.lower()}_before"), when=dut.running)
        route = Value.cast(dut.settings.route)
        self.claim("quiet", "routes stay", route == self.past(route, "route_before"), when=dut.running)
        self.claim("quiet", "DDR_BASE is a multiple of 4096", dut.settings.ddr_base % AXI_BOUNDARY_BYTES == 0)
        self.reach(table.write)
        self.reach(dut.running & self.past(dut.running, "ran"))

        own = self.wire(Cat(dut.errors.by_name.values()).any(), "own")
        stop = self.wire(dut.halt | own, "stop")
        failed, was_running = Signal(), self.past(dut.running, "was_running")
        with m.If(dut.reset):
            m.d.sync += failed.eq(0)
        with m.Elif(stop):
            m.d.sync += failed.eq(1)
        self.claim("batch", "a batch begins with the cycle after `clear`, and `go` asks for that",
                   self.past(dut.clear, "cleared") & self.past(dut.go, "went"), when=dut.running & ~was_running)
        self.claim("batch", "it ends when all is done, when something fails, by a reset",
                   ~dut.running, when=self.past(dut.finished | stop | dut.reset, "over") & was_running)
        self.claim("batch", "a tile that has failed does not run, and does not start, before a reset",
                   ~dut.running & ~dut.clear & ~dut.start, when=failed)
        self.claim("batch", "nor does it in a reset", ~dut.clear & ~dut.start, when=dut.reset)
        self.claim("batch", "START is refused while a batch runs", ~dut.start, when=active)
        self.claim("batch", "a failure stops the others", dut.halt_out, when=own & dut.running & ~dut.reset)
        self._answers()

    def _answers(self) -> None:
        """AXI4-Lite at the pins of the whole port."""
        m, host = self.m, self.dut.host
        for channel, asks in (("b", ("aw", "w")), ("r", ("ar",))):
            valid, ready = getattr(host, f"{channel}valid"), getattr(host, f"{channel}ready")
            got = {ask: Signal(name=f"got_{ask}") for ask in asks}
            answered = self.wire(valid & ready, f"{channel}_answered")
            for ask, have in got.items():
                accepted = getattr(host, f"{ask}valid") & getattr(host, f"{ask}ready")
                self.claim("answer", "one request at a time", ~have, when=accepted)
                with m.If(accepted):
                    m.d.sync += have.eq(1)
                with m.Elif(answered):
                    m.d.sync += have.eq(0)
            complete = Cat(got.values()).all()
            self.claim("answer", "a response to a request, and to no other", complete, when=valid)
            payload = Cat(host.bresp) if channel == "b" else Cat(host.rresp, host.rdata)
            waited = self.past(valid & ~ready, f"{channel}_waited")
            self.claim("answer", "it holds until it is taken", valid & (payload == self.past(payload, f"{channel}_before")),
                       when=waited)
            since = Signal(range(RESPONSE_CYCLES + 2), name=f"{channel}_since")
            m.d.sync += since.eq(Mux(complete & ~valid, since + 1, 0))
            self.claim("answer", "in bounded time", since < RESPONSE_CYCLES)


_SIZE = "2 tiles, 2 experts"


def _proof(group: str, says: str, *mutants: str, **others: object) -> Proof:
    return Proof(name=f"host-{group}", block="HostPort", spec=HostSpec, group=group, says=says, size=_SIZE, mutants=mutants,
                 **others)


PROOFS = (
    _proof("quiet", "while a batch runs tables are not touched and settings do not change; entries that are written exist; "
           "DDR_BASE is a multiple of 4096", "host-writes-while-running", "host-base-unaligned", reach_bound=20),
    _proof("batch", "a batch runs from `go` until it is finished, fails or is reset; a tile that fails stops the others and "
           "stays still until a reset", "host-runs-on", "host-starts-failed"),
    _proof("answer", f"every access is answered once, within {RESPONSE_CYCLES} cycles; responses hold until taken",
           "host-table-read-hangs", "access-r-not-held"),
)
