"""One chiplet tile: the blocks and the wires between them."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.compute.unit import ComputeUnit
from trajectile.hw.d2d.layouts import Port
from trajectile.hw.d2d.link_layer import LinkLayer
from trajectile.hw.d2d.port import FramePort, LanePort, d2d_port
from trajectile.hw.d2d.receiver import SliceReceiver
from trajectile.hw.d2d.router import Router
from trajectile.hw.d2d.sender import SliceSender
from trajectile.hw.ddr.loader import DdrLoader
from trajectile.hw.events import EventPort
from trajectile.hw.host.axi import Axi4Read, AxiLite
from trajectile.hw.host.port import HostPort
from trajectile.hw.lib.block import Block, place
from trajectile.hw.memory.expert_buffer import ExpertBuffer
from trajectile.hw.params import Params
from trajectile.hw.rules.engine import RuleEngine
from trajectile.sw_model.config import Config
from trajectile.sw_model.config.topology import passing_edges, ring_next


class Tile(Block):
    """A tile holds its share of the tokens; micro-slices come from its DDR channel and from the ring-previous tile, meet
    the tokens, and go on to the ring-next tile.

    Latency: ``go`` in cycle c makes c+1 cycle 0 of the batch (``latency_cycles`` = 1); from there docs/architecture.md,
    "Latencies".

    All tiles of an array are the same module: number, ring and routes are set by strap and registers. With
    ``timing_only`` payload and arithmetic are left out and every cycle stays where it is.
    """

    latency_cycles = 1

    tile_id: Signal
    host: AxiLite.Interface
    irq: Signal
    go_out: Signal
    go: Signal
    halt_out: Signal
    halt: Signal
    reset_out: Signal
    reset: Signal
    has_ddr: Signal
    ddr: Axi4Read.Interface
    north: LanePort.Interface | FramePort.Interface
    east: LanePort.Interface | FramePort.Interface
    south: LanePort.Interface | FramePort.Interface
    west: LanePort.Interface | FramePort.Interface
    events: EventPort.Interface

    def __init__(self, config: Config, *, timing_only: bool = False):
        self.config, self.timing_only = config, timing_only
        self.params = params = Params(config, timing_only=timing_only)
        super().__init__({
            "tile_id": In(params.tile_bits),  #: strap: number of this tile
            "host": In(AxiLite()),  #: registers, tables, tokens in, results out
            "irq": Out(1),  #: a batch has finished, or the tile has failed (if enabled)
            "go_out": Out(1),  #: the host has written START: start every tile
            "go": In(1),  #: start a batch; its cycle 0 is the next cycle
            "halt_out": Out(1),  #: this tile fails: stop every tile
            "halt": In(1),  #: a tile has failed: stop
            "reset_out": Out(1),  #: the host has written RESET, or a reset must go on: reset every tile
            "reset": In(1),  #: reset all blocks but the host port and the loader
            "has_ddr": In(1),  #: strap: the tile has a DDR channel
            "ddr": Out(Axi4Read(params.address_bits, params.beat_bits)),  #: to the DDR channel, if the tile has one
            "north": Out(d2d_port(params)),  #: pins to and from the tile above
            "east": Out(d2d_port(params)),  #: to the right
            "south": Out(d2d_port(params)),  #: below
            "west": Out(d2d_port(params)),  #: to the left
            "events": Out(EventPort(params)),  #: for trace monitors
        })

    def elaborate(self, platform: object) -> Module:
        """Place the blocks and wire them."""
        m = Module()
        params = self.params
        host = HostPort(params)
        engine, loader, router = RuleEngine(params), DdrLoader(params), Router(params)
        sender, receiver = SliceSender(params), SliceReceiver(params)
        compute = ComputeUnit(params)
        # A reset by the host leaves its registers, and the loader, which must answer for what it asked of DDR.
        place(m, platform, host_port=host, ddr_loader=loader)
        place(m, platform, reset=self.reset, rule_engine=engine, router=router, slice_sender=sender, slice_receiver=receiver,
              compute_unit=compute)
        # the rules
        connect(m, engine.load, loader.load)
        connect(m, engine.compute, compute.compute)
        connect(m, engine.control, router.control)
        connect(m, engine.send, sender.send)
        connect(m, engine.receive, receiver.receive)
        connect(m, engine.events, flipped(self.events))
        # slices on their way
        connect(m, loader.ddr, flipped(self.ddr))
        connect(m, router.arrival, receiver.arrival)
        connect(m, receiver.arriving, sender.arriving)
        connect(m, sender.flits, router.local_in)
        self._links(m, platform, host, router)
        if not self.timing_only:
            self._buffer(m, platform, host, loader, receiver, sender, compute)
        # the host
        connect(m, flipped(self.host), host.host)
        connect(m, host.table, engine.table, loader.table, compute.table)
        connect(m, host.results, compute.results)
        self._batch(m, host, engine, loader, compute)
        counts = host.counts
        cuts = Signal()  # rule 3 or 4 by cut-through
        m.d.comb += [
            cuts.eq(engine.send.start & engine.send.cut), receiver.cut.eq(cuts),
            counts.ddr_beat.eq(loader.beat), counts.word.eq(compute.issuing), counts.flit_out.eq(router.flit_out),
            counts.load.eq(engine.load.start), counts.compute.eq(engine.compute.start), counts.send.eq(engine.send.start),
            counts.cut.eq(cuts), counts.grant.eq(engine.control.grant.valid), counts.clip.eq(compute.clipping),
        ]
        return m

    @property
    def ports(self) -> dict[Port, LanePort.Interface | FramePort.Interface]:
        """The pins of each die-to-die port."""
        return {Port.NORTH: self.north, Port.EAST: self.east, Port.SOUTH: self.south, Port.WEST: self.west}

    def _links(self, m: Module, platform: object, host: HostPort, router: Router) -> None:
        """Pins, with a link layer before them if there is one, and which of them the ring takes by the routing table."""
        for port, pins in self.ports.items():
            if not self.config.link.crc_bits:
                connect(m, router.ports[port], flipped(pins))
                continue
            name = port.name.lower()
            layer = LinkLayer(self.params)
            place(m, platform, {f"link_layer_{name}": layer}, reset=self.reset)
            connect(m, router.ports[port], layer.lanes)
            connect(m, layer.pins, flipped(pins))
            connect(m, layer.status, host.links[port.value])
        if self.config.link.crc_bits:
            m.d.comb += host.errors.link_down.eq(Cat(link.down for link in host.links).any())
        # The ports on the way to the tiles before and after.
        array, settings = self.config.array, host.settings
        m.d.comb += [
            router.previous.eq(settings.route[settings.ring_prev]), router.next.eq(settings.route[settings.ring_next]),
        ]
        if router.passing:
            with m.Switch(self.tile_id):
                for tile in range(array.tiles):
                    for start in passing_edges(array, tile):
                        with m.Case(tile):
                            m.d.comb += [router.passes.eq(1), router.pass_from.eq(settings.route[start]),
                                         router.pass_to.eq(settings.route[ring_next(array, start)])]

    def _buffer(self, m: Module, platform: object, host: HostPort, loader: DdrLoader, receiver: SliceReceiver,
                sender: SliceSender, compute: ComputeUnit) -> None:
        """The slots, with two writers and two readers; what their protection finds."""
        buffer, protect = ExpertBuffer(self.params), self.params.protect
        place(m, platform, reset=self.reset, expert_buffer=buffer)
        connect(m, loader.write, buffer.load)
        connect(m, receiver.write, buffer.receive)
        connect(m, sender.read, buffer.send)
        connect(m, compute.weights, buffer.compute)
        if protect != "none":
            m.d.comb += host.errors.memory.eq(buffer.error | compute.error)
        if protect == "secded":
            m.d.comb += host.counts.corrected.eq(buffer.corrected | compute.corrected)

    def _batch(self, m: Module, host: HostPort, engine: RuleEngine, loader: DdrLoader, compute: ComputeUnit) -> None:
        """Start, finish, failure, reset; the settings that blocks look at."""
        # A tile has finished when all its loads and arrivals have come, been computed and left.
        arrivals = Signal.like(host.settings.arrival_count)
        with m.If(host.clear):
            m.d.sync += arrivals.eq(0)
        with m.Elif(engine.control.grant.valid):
            m.d.sync += arrivals.eq(arrivals + 1)
        m.d.comb += [
            host.tile_id.eq(self.tile_id), host.go.eq(self.go), self.go_out.eq(host.start),
            host.halt.eq(self.halt), self.halt_out.eq(host.halt_out), self.irq.eq(host.irq),
            host.reset.eq(self.reset), self.reset_out.eq(host.reset_out), host.quiet.eq(loader.quiet),
            host.errors.ddr_response.eq(loader.bad_response), host.errors.entry.eq(loader.bad_entry | compute.bad_entry),
            host.finished.eq(loader.done & engine.empty & ~compute.busy & (arrivals == host.settings.arrival_count)),
            engine.running.eq(host.running),
            loader.running.eq(host.running), loader.clear.eq(host.clear), loader.has_ddr.eq(self.has_ddr),
            loader.base.eq(host.settings.ddr_base), loader.count.eq(host.settings.load_count),
            compute.clear.eq(host.clear),
        ]
