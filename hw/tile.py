"""One chiplet tile: the blocks and the wires between them."""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.compute.unit import ComputeUnit
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
from trajectile.hw.params import NEIGHBOURS, Params
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
            **{port.name.lower(): Out(d2d_port(params)) for port in NEIGHBOURS},
            "events": Out(EventPort(params)),  #: for trace monitors
        })

    def elaborate(self, platform: object) -> Module:
        """Place the blocks and wire them."""
        m = Module()
        params = self.params
        host = HostPort(self.config, timing_only=self.timing_only)
        engine, loader, router = RuleEngine(params), DdrLoader(params), Router(params)
        sender, receiver = SliceSender(params), SliceReceiver(params)
        compute = ComputeUnit(self.config, timing_only=self.timing_only)
        # A reset by the host leaves its registers, and the loader, which must answer for what it asked of DDR.
        place(m, platform, host_port=host, ddr_loader=loader)
        place(m, platform, reset=self.reset, rule_engine=engine, router=router, slice_sender=sender, slice_receiver=receiver,
              compute_unit=compute)

        connect(m, flipped(self.host), host.host)
        connect(m, loader.ddr, flipped(self.ddr))
        for port in NEIGHBOURS:
            name = port.name.lower()
            lanes, pins = getattr(router, name), flipped(getattr(self, name))
            if not self.config.link.crc_bits:
                connect(m, lanes, pins)
                continue
            layer = LinkLayer(params)
            place(m, platform, {f"link_layer_{name}": layer}, reset=self.reset)
            connect(m, lanes, layer.lanes)
            connect(m, layer.pins, pins)
            m.d.comb += [
                host.link_down[port.value].eq(layer.down), getattr(host, f"link_{name}_frames").eq(layer.sends),
                getattr(host, f"link_{name}_replays").eq(layer.replays), getattr(host, f"link_{name}_errors").eq(layer.bad),
            ]
        connect(m, sender.flits, router.local_in)
        self._ports(m, host, router)
        if not self.timing_only:
            buffer = ExpertBuffer(params)
            place(m, platform, reset=self.reset, expert_buffer=buffer)
            connect(m, loader.write, buffer.load)
            connect(m, receiver.write, buffer.receive)
            connect(m, sender.read, buffer.send)
            m.d.comb += [
                buffer.compute.en.eq(compute.weight_en), buffer.compute.slot.eq(compute.weight_slot),
                buffer.compute.addr.eq(compute.weight_addr), compute.weight_data.eq(buffer.compute.data),
            ]
            if params.protect != "none":
                m.d.comb += host.error_memory.eq(buffer.error | compute.error)
            if params.protect == "secded":
                m.d.comb += host.count_corrected.eq(buffer.corrected | compute.corrected)

        if self.config.link.crc_bits:
            m.d.comb += host.error_link_down.eq(host.link_down.any())

        # The table bus goes to every block that owns a table; each looks at its own only.
        for block in (engine, loader, compute):
            for name in ("table", "lane", "index", "write", "write_data", "read"):
                m.d.comb += getattr(block.table, name).eq(getattr(host.table, name))
        m.d.comb += host.table.read_data.eq(compute.table.read_data)

        # A tile has finished when all its loads and arrivals have come, been computed and left.
        arrivals = Signal.like(host.arrival_count)
        with m.If(host.clear):
            m.d.sync += arrivals.eq(0)
        with m.Elif(engine.grant):
            m.d.sync += arrivals.eq(arrivals + 1)
        m.d.comb += [
            host.tile_id.eq(self.tile_id), host.go.eq(self.go), self.go_out.eq(host.start),
            host.halt.eq(self.halt), self.halt_out.eq(host.halt_out), self.irq.eq(host.irq),
            host.reset.eq(self.reset), self.reset_out.eq(host.reset_out), host.quiet.eq(loader.quiet),
            host.error_ddr_response.eq(loader.bad_response), host.error_entry.eq(loader.bad_entry | compute.bad_entry),
            host.finished.eq(loader.done & engine.empty & ~compute.busy & (arrivals == host.arrival_count)),
            engine.running.eq(host.running),
            # rule 1
            loader.base.eq(host.ddr_base), loader.count.eq(host.load_count), loader.clear.eq(host.clear),
            loader.running.eq(host.running), loader.load.eq(engine.load), loader.load_slot.eq(engine.load_slot),
            loader.has_ddr.eq(self.has_ddr),
            engine.load_valid.eq(loader.valid), engine.load_entry.eq(loader.entry),
            engine.loaded.eq(loader.loaded), engine.loaded_slot.eq(loader.loaded_slot),
            # rule 2
            compute.start.eq(engine.compute), compute.start_slot.eq(engine.compute_slot),
            compute.start_expert.eq(engine.compute_expert), compute.clear.eq(host.clear),
            compute.token_shift.eq(host.token_shift), engine.compute_ready.eq(compute.ready),
            engine.computed.eq(compute.done), engine.computed_slot.eq(compute.done_slot),
            # rules 3 and 4: control lanes
            router.request_in.eq(engine.request), router.request.slice.eq(engine.request_slice),
            engine.request_in.eq(router.request_out), engine.request_in_slice.eq(router.request_here.slice),
            router.grant_in.eq(engine.grant), router.grant.slot.eq(engine.load_slot),
            engine.grant_in.eq(router.grant_out), engine.grant_in_slot.eq(router.grant_here.slot),
            # rules 3 and 4: slices
            receiver.valid.eq(router.arrival), receiver.flit.eq(router.flit),
            sender.copy.eq(receiver.copy), sender.arriving.eq(router.flit.payload), sender.arrived.eq(receiver.arrived),
            sender.start.eq(engine.send), sender.slot.eq(engine.send_slot), sender.slice.eq(engine.send_slice),
            sender.to_slot.eq(engine.send_to), sender.cut.eq(engine.send_cut),
            engine.sender_idle.eq(sender.idle), engine.sent.eq(sender.sent), engine.sent_slot.eq(sender.sent_slot),
            engine.header.eq(receiver.header), engine.header_slot.eq(receiver.header_slot),
            receiver.cut.eq(engine.send & engine.send_cut),
            engine.arrived.eq(receiver.arrived), engine.arrived_slot.eq(receiver.arrived_slot),
            # counters
            host.count_ddr_beat.eq(loader.beat), host.count_word.eq(compute.issuing),
            host.count_flit_out.eq(router.flit_out), host.count_load.eq(engine.load),
            host.count_compute.eq(engine.compute), host.count_send.eq(engine.send),
            host.count_cut.eq(engine.send & engine.send_cut), host.count_grant.eq(engine.grant),
        ]
        self._events(m, host, engine)
        return m

    def _ports(self, m: Module, host: HostPort, router: Router) -> None:
        """Which ports the ring takes here: those on the way to the tiles before and after, by the routing table."""
        array = self.config.array
        m.d.comb += [router.previous.eq(host.route[host.ring_prev]), router.next.eq(host.route[host.ring_next])]
        if router.passing:
            with m.Switch(self.tile_id):
                for tile in range(array.tiles):
                    for start in passing_edges(array, tile):
                        with m.Case(tile):
                            m.d.comb += [router.passes.eq(1), router.pass_from.eq(host.route[start]),
                                         router.pass_to.eq(host.route[ring_next(array, start)])]

    def _events(self, m: Module, host: HostPort, engine: RuleEngine) -> None:
        """Show what the rules do."""
        events = self.events
        m.d.comb += [
            events.running.eq(host.running),
            events.load.eq(engine.load), events.load_slot.eq(engine.load_slot),
            events.load_expert.eq(engine.load_entry.expert), events.load_index.eq(engine.load_entry.index),
            events.grant.eq(engine.grant), events.grant_slot.eq(engine.load_slot),
            events.grant_expert.eq(engine.grant_slice.expert), events.grant_index.eq(engine.grant_slice.index),
            events.send_escape.eq(engine.send_escape), events.send_cut.eq(engine.send_cut),
            events.release.eq(engine.freed),
        ]
        for name in ("loaded", "arrived", "compute", "computed", "send", "sent"):
            m.d.comb += [
                getattr(events, name).eq(getattr(engine, name)),
                getattr(events, f"{name}_slot").eq(getattr(engine, f"{name}_slot")),
            ]

