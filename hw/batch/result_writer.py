"""Results of a batch, then its completion record, by the io port."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, enum, stream
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.batch.layouts import COMPLETION_LAYOUT, RECORD_COUNTERS, BatchLayouts
from trajectile.hw.batch.ports import ReadPort, ResultPort
from trajectile.hw.batch.result_pieces import Kind, ResultPieces
from trajectile.hw.formats import EXPONENT_BITS
from trajectile.hw.host.axi import Axi4Write
from trajectile.hw.io.writer import IoWriter
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.struct_signal import struct_signal


class Phase(enum.Enum, shape=3):
    """What the writer is at."""

    IDLE = 0  #: nothing
    RESULTS = 1  #: results go into beats
    ANSWERS = 2  #: the last beats of results go and are answered
    RECORD = 3  #: the completion record goes into beats
    END = 4  #: its last beats go and are answered


class ResultWriter(Block):
    """Writes the results of a batch's tokens in order, waits until all of them are answered, then writes the completion
    record. With ``stop`` it gives up the results, and the record says that the batch has failed.

    A beat is put together in one register, and waits in another if the memory does not take it. int32 results pass from the
    token buffer to it. For bfloat16 there are few converters (``PieceShape.converters``), one for each 8 bytes of a beat
    where ``mac_n`` allows it: then bfloat16 takes twice the cycles of int32, in half the bytes. The block is not part of the
    reset by the host.

    Latency: with ``result.start`` in cycle s the region starts in s (``latency_cycles`` = 0), the first piece is put into the
    beat in s+2 (:class:`ResultPieces`), and a beat is offered in the cycle after the piece that completes it
    (``beat_cycles`` = 1). Without stalls int32 takes one cycle for each piece of a group, and one for the beat that closes a
    token. The record's region starts in the cycle after the last answer to the results (``answer_cycles`` = 1), or in s if
    there are none; its first beat is put together in the next cycle. ``complete`` is in the cycle after the record's last
    answer. Throughput: one beat per cycle. Storage: two beats, and how far the second is.
    """

    latency_cycles = 0
    beat_cycles = 1
    answer_cycles = 1

    result: ResultPort.Interface
    stop: Signal
    quiet: Signal
    io: Axi4Write.Interface
    counters: data.View
    read: ReadPort.Interface
    unit: data.View

    def __init__(self, params: BatchLayouts):
        self.params = params
        super().__init__({
            "result": In(ResultPort(params)),  #: batch control
            "stop": In(1),  #: the tile has failed or is in reset
            "quiet": Out(1),  #: nothing is being written
            "io": Out(Axi4Write(params.address_bits, params.io_bits)),  #: to the memory
            "counters": In(data.ArrayLayout(unsigned(32), RECORD_COUNTERS)),  #: for the record
            **({} if params.timing_only else {
                "read": Out(ReadPort(params)),  #: results and clips
                "unit": In(data.ArrayLayout(signed(EXPONENT_BITS), params.config.tile.batches)),  #: of each batch's results
            }),
        })

    def elaborate(self, platform: object) -> Module:
        """Phases, the two regions, the beat."""
        m = Module()
        params, config, result = self.params, self.params.config, self.result
        port = IoWriter(params)
        writer = port.user
        beat_bytes = config.io.bytes_per_cycle
        record_beats = config.completion_bytes // beat_bytes
        descriptor = result.descriptor
        phase = Signal(Phase)
        failed = Signal()
        batch = Signal()
        alone = result.flush | (descriptor.tokens == 0)
        results = result.start & ~alone
        first_results = (phase == Phase.IDLE) & ~alone  # the region that begins next; known before ``result.start`` is
        answered = (phase == Phase.ANSWERS) & writer.quiet
        number = Signal(range(max(record_beats, 2)))  # of the record's next beat
        # A beat that is not taken makes room for the next in a second register, so that room is known at once.
        full = Signal()
        spare = Signal()
        room = ~spare
        source = ResultPieces(params)
        place(m, platform, io_writer=port, result_pieces=source)
        connect(m, port.write, flipped(self.io))
        pieces = source.pieces
        m.d.comb += [
            writer.region.start.eq(result.start | answered),
            writer.region.address.eq(descriptor.results + Mux(first_results, record_beats, 0)),
            # products by constants, of which one is chosen: less than a multiplication by what is chosen
            writer.region.beats.eq(Mux(first_results, Mux(
                descriptor.bf16, descriptor.tokens * (config.result_bytes(2) // beat_bytes),
                descriptor.tokens * (config.result_bytes(4) // beat_bytes)), record_beats)),
            writer.stop.eq(self.stop & ((phase == Phase.RESULTS) | (phase == Phase.ANSWERS)) & ~answered),
            result.idle.eq(phase == Phase.IDLE), self.quiet.eq(result.idle),
            result.bad_response.eq(writer.bad_response),
            result.written.eq((phase == Phase.ANSWERS) & full & ~spare & writer.beats.ready & ~failed),
            result.complete.eq((phase == Phase.END) & writer.quiet),
            source.start.eq(results), source.active.eq(phase == Phase.RESULTS), source.bf16.eq(descriptor.bf16),
            source.batch.eq(batch), source.tokens.eq(descriptor.tokens), pieces.ready.eq(room),
        ]
        if config.array.shares:
            m.d.comb += source.first.eq(result.first)
        with m.Switch(phase):
            with m.Case(Phase.IDLE):
                with m.If(result.start):
                    m.d.sync += [phase.eq(Mux(alone, Phase.RECORD, Phase.RESULTS)), failed.eq(result.flush),
                                 batch.eq(result.batch)]
            with m.Case(Phase.RESULTS):
                with m.If(self.stop):
                    m.d.sync += [phase.eq(Phase.ANSWERS), failed.eq(1)]
                with m.Elif(pieces.valid & room & pieces.payload.ends_all):
                    m.d.sync += phase.eq(Phase.ANSWERS)
            with m.Case(Phase.ANSWERS):
                with m.If(answered):
                    m.d.sync += phase.eq(Phase.RECORD)
                # also with the last answer: that may be what has failed
                with m.If(self.stop):
                    m.d.sync += failed.eq(1)
            with m.Case(Phase.RECORD):
                with m.If(room):
                    m.d.sync += number.eq(Mux(number == record_beats - 1, 0, number + 1))
                    with m.If(number == record_beats - 1):
                        m.d.sync += phase.eq(Phase.END)
            with m.Case(Phase.END):
                with m.If(writer.quiet):
                    m.d.sync += phase.eq(Phase.IDLE)
        unit = Signal(signed(EXPONENT_BITS))
        if not params.timing_only:
            connect(m, source.read, flipped(self.read))
            m.d.comb += [unit.eq(self.unit[batch] if config.tile.batches > 1 else self.unit[0]), source.unit.eq(unit)]
        put = Signal()
        m.d.comb += put.eq(room & ((phase == Phase.RECORD) | pieces.valid))
        gathered = Signal(params.io_bits)
        self._beat(m, source, full, gathered, put, phase == Phase.RECORD, number, self._record(m, failed, unit), result.start)
        self._offer(m, writer.beats, full, spare, gathered, put)
        return m

    def _record(self, m: Module, failed: Signal, unit: Signal) -> Value:
        """The completion record as it would be written now."""
        result, descriptor = self.result, self.result.descriptor
        record = struct_signal(COMPLETION_LAYOUT, name="record")
        since = Signal(32, name="cycles_since", reset_less=True)  # from the doorbell to this cycle, known a cycle before
        m.d.sync += since.eq(result.now - descriptor.rung + 1)
        # A tile that only holds other tiles' tokens may have heard of their unit, or not.
        shown = Mux(descriptor.tokens == 0, 0, unit) if self.params.config.array.shares else unit
        m.d.comb += [
            record.tag.eq(descriptor.tag), record.valid.eq(1), record.failed.eq(failed), record.tokens.eq(descriptor.tokens),
            record.errors.eq(result.errors), record.cycles.eq(since),
            record.first_load.eq(result.first_load), record.streaming.eq(result.streaming),
            record.counters.eq(self.counters), record.unit.eq(shown), record.again.eq(Value.cast(record)[:32]),
        ]
        return Value.cast(record)

    def _offer(self, m: Module, beats: stream.Interface, full: Signal, spare: Signal, gathered: Signal, put: Signal) -> None:
        """The beat that is put together is offered as it is, or from the second register if the next has begun."""
        waiting = Signal(self.params.io_bits)
        m.d.comb += [beats.valid.eq(full | spare), beats.payload.eq(Mux(spare, waiting, gathered))]
        with m.If(spare):
            m.d.sync += spare.eq(~beats.ready)
        with m.Elif(full):
            m.d.sync += [spare.eq(put & ~beats.ready), waiting.eq(gathered)]
        with m.If(beats.ready & ~spare & ~put):
            m.d.sync += full.eq(0)

    def _beat(self, m: Module, source: ResultPieces, full: Signal, gathered: Signal, put: Signal, recording: Value,
              number: Signal, record: Value, clear: Value) -> None:
        """A piece fills some lanes, and the first of a beat clears the others; the record fills whole beats."""
        params, shape, pieces = self.params, source.shape, source.pieces
        step = Signal(range(max(shape.lanes, 2)))  # pieces in the beat that is put together
        kind = pieces.payload.kind
        lanes = {Kind.GROUP: shape.lanes // shape.groups, Kind.FLOATS: 1}  # of a piece
        complete = Signal()
        m.d.comb += complete.eq(recording | pieces.payload.completes
                                | (step == Mux(kind == Kind.FLOATS, shape.lanes - 1, shape.groups - 1)))
        with m.If(clear):
            m.d.sync += step.eq(0)
        with m.Elif(put):
            m.d.sync += step.eq(Mux(complete, 0, step + 1))
        with m.If(put):
            m.d.sync += full.eq(complete)
        recorded: Value = record.word_select(number, params.io_bits) if params.io_bits < len(record) else record
        # Results come late in the cycle, what chooses them does not.
        results = Const(0, params.io_bits) if params.timing_only else pieces.payload.data
        for lane in range(shape.lanes):
            here = Signal(name=f"here_{lane}")
            with m.Switch(Cat(kind, recording)):
                for part, width in lanes.items():
                    with m.Case(part.value):
                        m.d.comb += here.eq(step == lane // width)
                with m.Default():
                    m.d.comb += here.eq(1)
            bits = slice(lane * shape.lane_bits, (lane + 1) * shape.lane_bits)
            with m.If(put & (here | (step == 0))):
                of_results, of_record = (which.replicate(shape.lane_bits) for which in (here & ~recording, here & recording))
                m.d.sync += gathered[bits].eq((results[bits] & of_results) | (recorded[bits] & of_record))
