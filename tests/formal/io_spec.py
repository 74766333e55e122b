"""Both halves of the io port: AXI4 rules, exactly the region, every beat once, coming to rest after a stop."""

from types import SimpleNamespace

from amaranth.hdl import Mux, Signal, Value
from amaranth.utils import exact_log2

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.host.axi import AXI_BURST_INCR
from trajectile.hw.io.ports import IO_BURSTS
from trajectile.hw.io.reader import IoReader
from trajectile.hw.io.writer import IoWriter

#: beats of 128 bytes
WIDE = {"io__bytes_per_cycle": 128}
#: bits of a beat: its contents only pass through
DATA_BITS = 8


class IoSpec(Spec):
    """A user who begins a region when all is quiet, and may stop it; a memory that takes what it likes when it likes."""

    #: beats of a line; bits of an address, and of a region's length, in beats
    line, address_bits, region_bits = 4, 5, 4

    def begin(self) -> None:
        """The region: where its next burst begins, where it ends, and whether it was given up."""
        m = self.m
        self.params = params = tiny(**WIDE)
        params.io_address_bits, params.region_bits, params.io_bits = self.address_bits, self.region_bits, DATA_BITS
        params.address_bits = self.address_bits + params.io_low_bits
        self.beat_bytes = params.config.io.bytes_per_cycle
        # no legal configuration has so short lines
        object.__setattr__(params.config, "io", SimpleNamespace(bytes_per_cycle=self.beat_bytes, burst_beats=self.line))
        self.start, self.stop = self.free(1, "start"), self.free(1, "stop")
        self.address, self.beats = self.free(self.address_bits, "address"), self.free(params.region_bits, "beats")
        self.at, self.end = Signal(self.address_bits + 1), Signal(self.address_bits + 1)
        self.stopped = Signal()
        self.assume(~self.start | ((self.beats != 0) & (self.address + self.beats <= 2**self.address_bits) & ~self.stop))
        with m.If(self.start):
            m.d.sync += self.stopped.eq(0)
        with m.Elif(self.stop):
            m.d.sync += self.stopped.eq(1)

    def bursts_between(self, first: Value, last: Value) -> Value:
        """Bursts that have beats from ``first`` on and before ``last``."""
        return Mux(first == last, 0, (last - 1)[:self.address_bits + 1] // self.line - first // self.line + 1)

    def address_channel(self, channel: dict[str, Value], quiet: Value) -> None:
        """Bursts are the region, in order, cut at lines; AXI's rules; after a stop no other begins."""
        m, line = self.m, self.line
        valid, ready, address, length = (channel[name] for name in ("valid", "ready", "addr", "len"))
        self.assume(~self.start | quiet)
        self.taken = self.wire(valid & ready, "taken")
        beats = self.wire(length + 1, "burst_beats")
        with m.If(self.start):
            m.d.sync += [self.at.eq(self.address), self.end.eq(self.address + self.beats)]
        with m.Elif(self.taken):
            m.d.sync += self.at.eq(self.at + beats)
        rest = self.wire(line - self.at % line, "rest_of_line")
        left = self.wire(self.end - self.at, "left")
        self.claim("address", "a burst only of what is left of the region", self.at < self.end, when=valid)
        self.claim("address", "where the next beat lies", address == self.at * self.beat_bytes, when=valid)
        self.claim("address", "up to the end of the line or of the region", beats == Mux(left < rest, left, rest), when=valid)
        self.claim("address", "INCR, whole beats", (channel["burst"] == AXI_BURST_INCR)
                   & (channel["size"] == exact_log2(self.beat_bytes)), when=valid)
        line_bytes = line * self.beat_bytes
        self.claim("address", "no burst crosses a line",
                   address % line_bytes + beats * self.beat_bytes <= line_bytes, when=valid)
        waited = self.past(valid & ~ready, "waited")
        self.claim("address", "VALID holds", valid, when=waited)
        for name in ("addr", "len", "size", "burst"):
            self.claim("address", "the address is stable", channel[name] == self.past(channel[name], f"{name}_before"),
                       when=waited)
        self.claim("address", "what was given up is not begun", ~valid, when=self.stopped & ~waited)
        self.claim("address", "a region ends when all of it was asked for, or when it is given up",
                   (self.at == self.end) | self.stopped | (self.end == 0), when=quiet)


class ReaderSpec(IoSpec):
    """The memory sends the beats that it was asked for, in order."""

    def build(self) -> None:
        self.begin()
        m = self.m
        m.submodules.dut = self.dut = dut = IoReader(self.params)
        read = dut.read
        m.d.comb += [
            dut.region.start.eq(self.start), dut.region.address.eq(self.address), dut.region.beats.eq(self.beats),
            dut.stop.eq(self.stop),
        ]
        for name in ("arready", "rvalid", "rlast", "rdata", "rresp"):
            port = Value.cast(getattr(read, name))
            m.d.comb += port.eq(self.free(len(port), name))
        m.d.comb += dut.beats.ready.eq(self.free(1, "ready"))
        self.address_channel({"valid": read.arvalid, "ready": read.arready, "addr": read.araddr, "len": read.arlen,
                              "size": read.arsize, "burst": read.arburst}, dut.quiet)
        came = self.wire(read.rvalid & read.rready, "came")
        # The beat that comes next, and bursts that have not ended.
        place = Signal(self.address_bits + 1)
        with m.If(self.start):
            m.d.sync += place.eq(self.address)
        with m.Elif(came):
            m.d.sync += place.eq(place + 1)
        ends = self.wire((place % self.line == self.line - 1) | (place + 1 == self.end), "ends")
        self.assume(~read.rvalid | (place < self.at))
        self.assume(~read.rvalid | (read.rlast == ends))
        waiting = Signal(range(IO_BURSTS + 2))
        m.d.sync += waiting.eq(waiting + self.taken - (came & ends))
        self.claim("beats", "no more bursts than planned wait", waiting <= IO_BURSTS)
        self.claim("beats", "bursts wait whose beats have not all come", waiting == self.bursts_between(place, self.at))
        self.claim("beats", "quiet when every beat has come that was asked for, and no other is asked for",
                   (place == self.at) & ~read.arvalid, when=dut.quiet)
        drops = self.stopped
        self.claim("beats", "a beat is passed on when it comes", dut.beats.valid == read.rvalid, when=~drops)
        self.claim("beats", "and taken when it is taken", came == (dut.beats.valid & dut.beats.ready), when=~drops)
        self.claim("beats", "as it came", (dut.beats.payload.data == read.rdata)
                   & (dut.beats.payload.error == read.rresp.any()), when=dut.beats.valid)
        self.claim("beats", "after a stop nothing is passed on, and all is taken", ~dut.beats.valid & read.rready, when=drops)
        self.reach(dut.quiet & (self.at == self.end) & (self.beats_of_region() > self.line))
        self.reach(dut.quiet & self.stopped & (self.at < self.end) & (self.at != 0))

    def beats_of_region(self) -> Value:
        """How many beats the region has."""
        count = Signal(self.params.region_bits, name="count")
        with self.m.If(self.start):
            self.m.d.sync += count.eq(self.beats)
        return count


class WriterSpec(IoSpec):
    """The memory answers bursts whose address and beats it has taken."""

    def build(self) -> None:
        self.begin()
        m = self.m
        m.submodules.dut = self.dut = dut = IoWriter(self.params)
        write, user = dut.write, dut.user
        m.d.comb += [
            user.region.start.eq(self.start), user.region.address.eq(self.address), user.region.beats.eq(self.beats),
            user.stop.eq(self.stop),
        ]
        for name in ("awready", "wready", "bvalid", "bresp"):
            port = Value.cast(getattr(write, name))
            m.d.comb += port.eq(self.free(len(port), name))
        m.d.comb += [user.beats.valid.eq(self.free(1, "valid")), user.beats.payload.eq(self.free(DATA_BITS, "data"))]
        offered = self.past(user.beats.valid & ~user.beats.ready, "offered")
        # what is offered holds, unless it was given up
        self.assume(~offered | self.past(user.quiet, "was_quiet")
                    | (user.beats.valid & (user.beats.payload == self.past(user.beats.payload, "data_before"))))
        self.address_channel({"valid": write.awvalid, "ready": write.awready, "addr": write.awaddr, "len": write.awlen,
                              "size": write.awsize, "burst": write.awburst}, user.quiet)
        goes = self.wire(write.wvalid & write.wready, "goes")
        place = Signal(self.address_bits + 1)  # of the next beat
        with m.If(self.start):
            m.d.sync += place.eq(self.address)
        with m.Elif(goes):
            m.d.sync += place.eq(place + 1)
        ends = self.wire((place % self.line == self.line - 1) | (place + 1 == self.end), "ends")
        # Bursts without an answer: of those whose address was taken, and of those whose beats have gone.
        asked, gone = Signal(range(IO_BURSTS + 2)), Signal(range(IO_BURSTS + 2))
        m.d.sync += [asked.eq(asked + self.taken - write.bvalid), gone.eq(gone + (goes & ends) - write.bvalid)]
        self.assume(~write.bvalid | ((asked != 0) & (gone != 0)))
        begun = self.wire(self.at + Mux(write.awvalid, write.awlen + 1, 0), "begun")
        self.claim("beats", "a beat only of a burst whose address is offered, or was", place < begun, when=write.wvalid)
        self.claim("beats", "WLAST with the last beat of a burst", write.wlast == ends, when=write.wvalid)
        waited = self.past(write.wvalid & ~write.wready, "beat_waited")
        self.claim("beats", "WVALID holds", write.wvalid, when=waited)
        for name in ("wdata", "wstrb", "wlast"):
            value = getattr(write, name)
            self.claim("beats", "the beat is stable", value == self.past(value, f"{name}_before"),
                       when=waited & (write.wstrb.any() if name == "wdata" else 1))
        self.claim("beats", "all bytes or none", write.wstrb.all() | ~write.wstrb.any())
        self.claim("beats", "none only after a stop", write.wstrb.all(), when=write.wvalid & ~self.stopped)
        self.claim("beats", "what goes is what the user offers", user.beats.valid & user.beats.ready
                   & (write.wdata == user.beats.payload), when=goes & write.wstrb.any())
        self.claim("beats", "what is taken from the user goes", goes | ~write.wstrb.any(),
                   when=user.beats.valid & user.beats.ready)
        self.claim("answers", "no more bursts than planned wait", asked <= IO_BURSTS)
        # beats may be ahead of their address by one burst, which has ended or not
        ended = self.wire((place % self.line == 0) | (place == self.end), "burst_ended")
        self.claim("answers", "bursts wait whose beats have not all gone, or that are not answered", Mux(
            place <= self.at, asked == gone + self.bursts_between(place, self.at), gone == asked + ended))
        self.claim("answers", "answers are always taken, and errors reported",
                   write.bready & (user.bad_response == (write.bvalid & write.bresp.any())))
        self.claim("answers", "quiet when all that was begun is written and answered", (asked == 0) & (gone == 0)
                   & (place == self.at) & ~write.awvalid & ~write.wvalid, when=user.quiet)
        count = Signal(self.params.region_bits)
        with m.If(self.start):
            m.d.sync += count.eq(self.beats)
        self.reach(user.quiet & (self.at == self.end) & (count > self.line))
        self.reach(user.quiet & self.stopped & (self.at < self.end) & (self.at != 0))


class ShortReaderSpec(ReaderSpec):
    """More bursts than may wait."""

    line = 2


class ShortWriterSpec(WriterSpec):
    """The same."""

    line = 2


_LINES = "8 lines of 4 beats, regions of up to 15"
_BURSTS = "16 lines of 2 beats, regions of up to 15"
_READS = "the memory sends the beats that it was asked for, in order (AXI4); a region is begun when all is quiet"
_WRITES = ("the memory answers a burst when it has its address and beats (AXI4); a region is begun when all is quiet; a beat "
           "that is offered holds")

PROOFS = (
    Proof(name="io-read-address", block="IoReader", spec=ReaderSpec, group="address", size=_LINES, assumes=_READS,
          says="bursts are exactly the region, in order, cut at lines; ARVALID and its payload hold until ARREADY; "
               "after a stop none begins",
          mutants=("io-burst-over-line", "io-burst-too-long", "io-address-moves", "io-asks-after-stop", "io-withdraws"),
          mutant_bound=20, reach_bound=30),
    Proof(name="io-read-beats", block="IoReader", spec=ShortReaderSpec, group="beats", size=_BURSTS, assumes=_READS,
          says="every beat is passed on once, as it came, and after a stop dropped; never more than 4 bursts wait; quiet "
               "means at rest",
          mutants=("io-read-fifth-burst", "io-read-stop-forgotten", "io-read-quiet-early"), reach_bound=30),
    Proof(name="io-write-address", block="IoWriter", spec=WriterSpec, group="address", size=_LINES, assumes=_WRITES,
          says="the same for AW", mutant_bound=20, reach_bound=30,
          mutants=("io-burst-over-line", "io-burst-too-long", "io-address-moves", "io-asks-after-stop", "io-withdraws")),
    Proof(name="io-write-beats", block="IoWriter", spec=ShortWriterSpec, group="beats", size=_BURSTS, assumes=_WRITES,
          says="WVALID and its payload hold until WREADY; beats go once, in order, none before the address of its burst is "
               "offered; WLAST ends each burst; no byte is written after a stop that was not offered before",
          mutants=("io-write-beat-early", "io-write-last-at-line-only", "io-write-stop-changes-beat"), reach_bound=30),
    Proof(name="io-write-answers", block="IoWriter", spec=ShortWriterSpec, group="answers", size=_BURSTS, assumes=_WRITES,
          says="every burst is answered once; never more than 4 wait; quiet means at rest",
          mutants=("io-write-fifth-burst", "io-write-quiet-early")),
)
