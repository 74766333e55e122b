"""One chiplet tile: the blocks and the wires between them."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.batch.control import BatchControl
from trajectile.hw.batch.former import BatchFormer
from trajectile.hw.batch.queue import BatchQueue
from trajectile.hw.batch.read_merge import ReadMerge
from trajectile.hw.batch.record_reader import RecordReader
from trajectile.hw.batch.reduction import RingReduction
from trajectile.hw.batch.result_writer import ResultWriter
from trajectile.hw.batch.token_lists import TokenLists
from trajectile.hw.compute.unit import ComputeUnit
from trajectile.hw.d2d.epochs import Epochs
from trajectile.hw.d2d.flit_merge import FlitMerge
from trajectile.hw.d2d.layouts import Port
from trajectile.hw.d2d.link_layer import LinkLayer
from trajectile.hw.d2d.port import FramePort, LanePort, d2d_port
from trajectile.hw.d2d.receiver import SliceReceiver
from trajectile.hw.d2d.record_port import RecordPort
from trajectile.hw.d2d.router import Router
from trajectile.hw.d2d.sender import SliceSender
from trajectile.hw.ddr.loader import DdrLoader
from trajectile.hw.ddr.ports import ddr_member, lead_out
from trajectile.hw.ddr.splitter import DdrSplitter
from trajectile.hw.events import EventPort, PhasePort
from trajectile.hw.host.axi import Axi4, Axi4Read, AxiLite
from trajectile.hw.host.port import HostPort
from trajectile.hw.lib.block import Block, place
from trajectile.hw.memory.expert_buffer import ExpertBuffer
from trajectile.hw.params import Params
from trajectile.hw.rules.engine import RuleEngine
from trajectile.sw_model.config import Config
from trajectile.sw_model.config.topology import passing_edges, ring, ring_next


class Tile(Block):
    """A tile holds its share of the tokens; micro-slices come from its DDR channel and from the ring-previous tile, meet
    the tokens, and go on to the ring-next tile. A batch begins with a doorbell at the host port, and ends with a completion
    record that the tile writes by its io port. In a shared batch a tile holds all tokens: their records come, and their sums
    go, around the ring, and slices stay.

    Latency: a descriptor is offered to batch control in the cycle after its doorbell (``latency_cycles`` = 1); from there
    docs/architecture.md, "Latencies".

    All tiles of an array are the same module: number, ring and routes are set by strap and registers. With
    ``timing_only`` payload and arithmetic are left out and every cycle stays where it is.
    """

    latency_cycles = 1

    tile_id: Signal
    host: AxiLite.Interface
    irq: Signal
    io: Axi4.Interface
    halt_out: Signal
    halt: Signal
    reset_out: Signal
    reset: Signal
    ddr: Axi4Read.Interface | list[Axi4Read.Interface]
    north: LanePort.Interface | FramePort.Interface
    east: LanePort.Interface | FramePort.Interface
    south: LanePort.Interface | FramePort.Interface
    west: LanePort.Interface | FramePort.Interface
    events: EventPort.Interface
    phases: PhasePort.Interface

    def __init__(self, config: Config, *, timing_only: bool = False):
        self.config, self.timing_only = config, timing_only
        self.params = params = Params(config, timing_only=timing_only)
        super().__init__({
            "tile_id": In(params.tile_bits),  #: strap: number of this tile
            "host": In(AxiLite()),  #: registers: descriptors in, status out
            "irq": Out(1),  #: a batch is complete, or the tile has failed (if enabled)
            "io": Out(Axi4(params.address_bits, params.io_bits)),  #: token records in, results and completion records out
            **({} if config.array.independent else {  # else they go as parts of frames
                "halt_out": Out(1),  #: this tile fails: stop every tile
                "halt": In(1),  #: a tile has failed: stop
                "reset_out": Out(1),  #: the host has written RESET, or a reset must go on: reset every tile
                "reset": In(1),  #: reset all blocks that hold parts of batches
            }),
            "ddr": ddr_member(params),  #: to the DDR channel, if the tile has one
            "north": Out(d2d_port(params)),  #: pins to and from the tile above
            "east": Out(d2d_port(params)),  #: to the right
            "south": Out(d2d_port(params)),  #: below
            "west": Out(d2d_port(params)),  #: to the left
            "events": Out(EventPort(params)),  #: what the rules do, for trace monitors
            "phases": Out(PhasePort(params)),  #: how batches go on, for trace monitors
        })

    def elaborate(self, platform: object) -> Module:
        """Place the blocks and wire them."""
        m = Module()
        params = self.params
        host, queue = HostPort(params), BatchQueue(params)
        control = BatchControl(params, hold_cycles=params.reset_hold_cycles)
        reader, writer = RecordReader(params), ResultWriter(params)
        lists, former = TokenLists(params), BatchFormer(params)
        engine, loader, router = RuleEngine(params), DdrLoader(params), Router(params)
        sender, receiver = SliceSender(params), SliceReceiver(params)
        compute = ComputeUnit(params)
        if self.config.array.independent:
            self.reset = Signal()
        # A reset by the host leaves its registers and descriptors, which get their records, and what must answer for accesses
        # that are under way on DDR and io ports.
        place(m, platform, host_port=host, batch_queue=queue, batch_control=control, record_reader=reader,
              result_writer=writer, ddr_loader=loader)
        place(m, platform, reset=self.reset, token_lists=lists, batch_former=former, rule_engine=engine, router=router,
              slice_sender=sender, slice_receiver=receiver, compute_unit=compute)
        # the rules
        connect(m, engine.load, loader.load)
        connect(m, engine.compute, compute.compute)
        connect(m, engine.control, router.control)
        connect(m, engine.send, sender.send)
        connect(m, engine.receive, receiver.receive)
        connect(m, engine.events, flipped(self.events))
        # slices on their way
        self._ddr(m, platform, loader)
        connect(m, router.slices, receiver.slices)
        connect(m, receiver.arriving, sender.arriving)
        self._links(m, platform, host, control, router)
        if not self.timing_only:
            self._buffer(m, platform, control, host, loader, receiver, sender, compute)
        # the host
        connect(m, flipped(self.host), host.host)
        connect(m, host.doorbell, queue.doorbell)
        connect(m, queue.descriptors, control.descriptors)
        connect(m, host.batches, control.status)
        # a batch, from its records to its results
        connect(m, control.begin, reader.begin)
        connect(m, reader.insert, lists.insert)
        connect(m, control.form, former.form)
        connect(m, former.counts, lists.counts)
        connect(m, former.word_out, router.count)
        connect(m, router.count_in, former.word_in)
        connect(m, former.load, loader.entries)
        for position, tile in enumerate(ring(self.config.array)):
            with m.If(self.tile_id == tile):
                m.d.comb += former.position.eq(position)
        connect(m, compute.look_up, lists.look_up)
        connect(m, control.result, writer.result)
        if self.config.array.shares:
            self._share(m, platform, control, reader, writer, sender, router, compute)
            m.d.comb += reader.position.eq(former.position)
        else:
            connect(m, sender.flits, router.local_in)
        if not self.timing_only:
            connect(m, reader.fill, compute.fill)
            if not self.config.array.shares:
                connect(m, writer.read, compute.read)
            m.d.comb += writer.unit.eq(compute.unit)
        connect(m, reader.io, flipped(self.io.read))
        connect(m, writer.io, flipped(self.io.write))
        self._batch(m, host, control, lists, former, engine, loader, compute)
        m.d.comb += [
            writer.counters.eq(host.counters),
            reader.stop.eq(~control.running), writer.stop.eq(~control.running),
            control.quiet.eq(loader.quiet & reader.quiet & writer.quiet),
            control.errors.io_response.eq(control.result.bad_response),
        ]
        cuts = Signal()  # rule 3 or 4 by cut-through
        counts = host.counts
        m.d.comb += [
            cuts.eq(engine.send.start & engine.send.cut), receiver.cut.eq(cuts),
            counts.ddr_beat.eq(loader.beat), counts.word.eq(compute.issuing), counts.flit_out.eq(router.flit_out),
            counts.load.eq(engine.load.start), counts.compute.eq(engine.compute.start), counts.send.eq(engine.send.start),
            counts.cut.eq(cuts), counts.grant.eq(engine.control.grant.valid), counts.clip.eq(compute.clipping),
        ]
        phases = self.phases
        m.d.comb += [
            phases.doorbell.eq(host.doorbell.push), phases.begin.eq(control.begin.start),
            phases.lists.eq(control.begin.lists_done), phases.rows.eq(control.begin.rows_done),
            phases.count.eq(former.count_sent), phases.formed.eq(control.form.formed),
            phases.pick.eq(former.picked), phases.pick_expert.eq(former.picked_expert),
            phases.finished.eq(control.finish), phases.written.eq(control.result.written),
            phases.complete.eq(control.result.complete),
        ]
        return m

    @property
    def ports(self) -> dict[Port, LanePort.Interface | FramePort.Interface]:
        """The pins of each die-to-die port."""
        return {Port.NORTH: self.north, Port.EAST: self.east, Port.SOUTH: self.south, Port.WEST: self.west}

    def _ddr(self, m: Module, platform: object, loader: DdrLoader) -> None:
        """The loader's port, or the ports to which its bursts are dealt."""
        if not isinstance(self.ddr, list):
            lead_out(m, loader.ddr, self.ddr)
            return
        splitter = DdrSplitter(self.params.address_bits, self.params.beat_bits, len(self.ddr))
        place(m, platform, ddr_splitter=splitter)
        connect(m, loader.ddr, splitter.ddr)
        lead_out(m, splitter.ports, self.ddr)

    def _links(self, m: Module, platform: object, host: HostPort, control: BatchControl, router: Router) -> None:
        """Pins, with a link layer before them if there is one, and which of them the ring takes by the routing table."""
        if self.config.array.independent:
            epochs = Epochs(self.params)
            place(m, platform, epochs=epochs)
            m.d.comb += [
                epochs.ask.eq(host.batches.ask_reset), control.begin_reset.eq(epochs.begins),
                host.settling.eq(epochs.settling), epochs.restart.eq(self.reset), control.halt.eq(epochs.halt),
                host.epoch.eq(epochs.epoch), host.known.eq(epochs.known),
                host.ready.eq(epochs.ready == self.params.ready_hops),
            ]
            m.d.sync += self.reset.eq(control.reset_out)
        for port, pins in self.ports.items():
            if not self.config.link.crc_bits:
                connect(m, router.ports[port], flipped(pins))
                continue
            name = port.name.lower()
            layer = LinkLayer(self.params)
            if self.config.array.independent:
                place(m, platform, {f"link_layer_{name}": layer})
                connect(m, epochs.links[port.value], layer.epochs)
                m.d.comb += [layer.ready.eq(epochs.ready), layer.failed.eq(host.batches.failed)]
            else:
                place(m, platform, {f"link_layer_{name}": layer}, reset=self.reset)
            connect(m, router.ports[port], layer.lanes)
            connect(m, layer.pins, flipped(pins))
            connect(m, layer.status, host.links[port.value])
        if self.config.link.crc_bits:
            m.d.comb += control.errors.link_down.eq(Cat(link.down for link in host.links).any())
        # The ports on the way to the tiles before and after. They stand for long before anything goes there, so registers
        # keep the choice out of the way of what does.
        array, settings = self.config.array, host.settings
        m.d.sync += [
            router.previous.eq(settings.route[settings.ring_prev]), router.next.eq(settings.route[settings.ring_next]),
        ]
        if router.passing:
            m.d.sync += router.passes.eq(0)
            with m.Switch(self.tile_id):
                for tile in range(array.tiles):
                    for start in passing_edges(array, tile):
                        with m.Case(tile):
                            m.d.sync += [router.passes.eq(1), router.pass_from.eq(settings.route[start]),
                                         router.pass_to.eq(settings.route[ring_next(array, start)])]

    def _share(self, m: Module, platform: object, control: BatchControl, reader: RecordReader, writer: ResultWriter,
               sender: SliceSender, router: Router, compute: ComputeUnit) -> None:
        """What travels in a shared batch: records, permits for them and for sums, and sums."""
        params = self.params
        records, reduction, merge = RecordPort(params), RingReduction(params), FlitMerge(params)
        place(m, platform, reset=self.reset, record_port=records, ring_reduction=reduction, flit_merge=merge)
        connect(m, records.come, reader.come)
        connect(m, reader.go, records.go)
        connect(m, control.reduce, reduction.reduce)
        connect(m, sender.flits, merge.slices)
        connect(m, reduction.flits, merge.sums)
        connect(m, records.flits, merge.records)
        connect(m, merge.flits, router.local_in)
        connect(m, router.records, records.arrival)
        connect(m, router.sums, reduction.arrival)
        permit = router.permit_in
        m.d.comb += [
            router.permit.valid.eq(records.permit_record | reduction.permit_sums),
            router.permit.payload.record.eq(records.permit_record), router.permit.payload.sums.eq(reduction.permit_sums),
            records.permitted.eq(permit.valid & permit.payload.record),
            reduction.permitted.eq(permit.valid & permit.payload.sums),
            self.phases.summed.eq(reduction.reduce.summed),
        ]
        if not self.timing_only:
            reads = ReadMerge(params)
            place(m, platform, read_merge=reads)
            connect(m, writer.read, reads.writer)
            connect(m, reduction.read, reads.reduction)
            connect(m, reads.read, compute.read)
            connect(m, reduction.put, compute.put)
            m.d.comb += [reduction.unit.eq(compute.unit), reads.reducing.eq(reduction.reading)]

    def _buffer(self, m: Module, platform: object, control: BatchControl, host: HostPort, loader: DdrLoader,
                receiver: SliceReceiver, sender: SliceSender, compute: ComputeUnit) -> None:
        """The slots, with two writers and two readers; what their protection finds."""
        buffer, protect = ExpertBuffer(self.params), self.params.protect
        place(m, platform, reset=self.reset, expert_buffer=buffer)
        connect(m, loader.write, buffer.load)
        connect(m, receiver.write, buffer.receive)
        connect(m, sender.read, buffer.send)
        connect(m, compute.weights, buffer.compute)
        m.d.comb += buffer.computes.eq(compute.computes)
        if protect != "none":
            m.d.comb += control.errors.memory.eq(buffer.error | compute.error)
        if protect == "secded":
            m.d.comb += host.counts.corrected.eq(buffer.corrected | compute.corrected)

    def _batch(self, m: Module, host: HostPort, control: BatchControl, lists: TokenLists, former: BatchFormer,
               engine: RuleEngine, loader: DdrLoader, compute: ComputeUnit) -> None:
        """What batch control sees, and what it tells."""
        m.d.comb += [
            host.tile_id.eq(self.tile_id), self.irq.eq(host.irq),
            control.now.eq(host.now), control.limit.eq(host.settings.watchdog),
            *([] if self.config.array.independent else [control.halt.eq(self.halt), self.halt_out.eq(control.halt_out)]),
            control.reset.eq(self.reset),
            *([] if self.config.array.independent else [self.reset_out.eq(control.reset_out)]),
            control.errors.ddr_response.eq(loader.bad_response), control.errors.disagree.eq(control.form.disagree),
            control.load.eq(engine.load.start), control.load_batch.eq(engine.load.entry.batch),
            control.let_in.eq(engine.let_in), control.used_by.eq(engine.used_by), control.busy.eq(compute.busy),
            control.arrivals.eq(former.arrivals), control.waits.eq(former.waits),
            control.swept.eq(lists.swept), lists.sweep.eq(control.sweep), lists.listed.eq(control.listed),
            compute.clear.eq(control.clear),
            engine.running.eq(control.running), engine.rows_in.eq(control.rows_in),
            loader.pages.eq(control.pages),
        ]
        if not self.timing_only:
            m.d.comb += compute.filled.eq(control.rows_in)
