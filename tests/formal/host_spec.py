"""The host port: what the other blocks rely on while there are batches, and an answer to every access in bounded time."""

from amaranth.hdl import Cat, Mux, Signal, Value

from tests.formal.sender_spec import SIZE
from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.batch.ports import QUEUE_DEPTH
from trajectile.hw.d2d.layouts import Port
from trajectile.hw.host.axi import Response
from trajectile.hw.host.port import HostPort

#: cycles from the acceptance of a request to its response, at the most (4, and 2 for the other channel)
RESPONSE_CYCLES = 6


class HostSpec(Spec):
    """A host that writes and reads what it likes; a queue and batches that come, fail and go as they like."""

    def build(self) -> None:
        m, params = self.m, tiny(**SIZE)
        m.submodules.dut = self.dut = dut = HostPort(params)
        for path, member, value in dut.signature.flatten(dut):
            if member.flow.name == "In":
                m.d.comb += Value.cast(value).eq(self.free(len(Value.cast(value)), "_".join(map(str, path))))
        batches, doorbell, host = dut.batches, dut.doorbell, dut.host
        self.assume(doorbell.level <= QUEUE_DEPTH)
        stopped = self.wire(batches.failed | batches.resetting, "stopped")
        busy = self.wire((doorbell.level != 0) | (batches.running != 0) | stopped, "busy")
        accepted = self.wire(host.bvalid & (host.bresp == Response.OKAY), "accepted")
        settings = {**dut.settings.by_name, "ROUTE": Value.cast(dut.settings.route)}
        local = sum(Port.LOCAL.value << 3 * tile for tile in range(params.config.array.tiles))
        for name, setting in settings.items():
            before = self.past(setting, f"{name.lower()}_before", init=local if name == "ROUTE" else 0)
            stays = self.wire(setting == before, f"{name.lower()}_stays")
            self.claim("quiet", f"{name} stays while there is a batch, a failure, a reset", stays,
                       when=self.past(busy, f"busy_{name}"))
            self.claim("quiet", f"{name} changes only with an access that is answered OKAY", accepted, when=~stays)
        for tile in range(params.config.array.tiles):
            self.claim("quiet", "routes are ports", Value.cast(dut.settings.route[tile]) <= max(port.value for port in Port))
        for name in ("RING_NEXT", "RING_PREV"):
            self.claim("quiet", f"{name} is a tile", settings[name] < params.config.array.tiles)
        self.reach(~stays & ~busy)
        self.reach(doorbell.push & (doorbell.descriptor.tokens != 0))

        self.claim("doorbell", "a descriptor is pushed only where there is room", doorbell.level < QUEUE_DEPTH,
                   when=doorbell.push)
        self.claim("doorbell", "and not after a failure or in a reset", ~stopped, when=doorbell.push)
        self.claim("doorbell", "tokens fit", doorbell.descriptor.tokens <= params.config.tile.tokens, when=doorbell.push)
        self.claim("doorbell", "there is such an order", Value.cast(doorbell.descriptor.order) != 3, when=doorbell.push)
        self.claim("doorbell", "it is marked with its cycle", doorbell.descriptor.rung == dut.now, when=doorbell.push)
        self.claim("doorbell", "the host is told OKAY", accepted, when=self.past(doorbell.push, "pushed"))
        self.claim("doorbell", "that is the first response to it", ~self.past(host.bvalid, "was_answered"),
                   when=self.past(doorbell.push, "pushed_too"))
        self.claim("doorbell", "time goes on", dut.now == (self.past(dut.now, "now_before", init=-1) + 1)[:len(dut.now)])
        self.claim("doorbell", "a reset is asked for by an access", accepted, when=self.past(batches.ask_reset, "asked"))
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
                 assumes="the queue holds no more than it can (batch-queue)", **others)


PROOFS = (
    _proof("quiet", "while a descriptor waits, a batch runs, or after a failure settings do not change; ring and routes are "
           "legal", "host-writes-while-running", "host-writes-refused", reach_bound=20),
    _proof("doorbell", "a descriptor is pushed into a queue with room, neither after a failure nor in a reset, and the host "
           "is told so; its tokens and its order are legal", "host-queue-overflows", "host-rings-failed"),
    _proof("answer", f"every access is answered once, within {RESPONSE_CYCLES} cycles; responses hold until taken",
           "access-read-hangs", "access-r-not-held"),
)
