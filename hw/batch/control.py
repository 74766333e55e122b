"""Batch control: which phase each batch in flight is in, what fails it, and how a reset ends."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from trajectile.hw.batch.layouts import PAGE_BITS, STAMP_BITS, BatchLayouts
from trajectile.hw.batch.ports import BeginPort, FormPort, ReducePort, ResultPort, StatusPort
from trajectile.hw.host.codes import ERRORS, RECORD_ERROR_LOW
from trajectile.hw.host.ports import ErrorStrobes
from trajectile.hw.lib.block import Block
from trajectile.hw.lib.struct_signal import struct_signal


class BatchControl(Block):
    """Takes descriptors from the queue and leads each through its phases: its records are read; this tile's counts go round
    the ring; its slices stream; if it is shared, the sums of all tiles are added up; its results and its completion record
    are written. In each phase there is one batch at the most, and batches keep their order. With ``tile.batches`` = 2 two
    batches may be in different phases; a batch is known by its bit.

    A batch begins when no other's records are being read and its part of the token buffer is free and swept. Its counts go
    when its lists are complete and all load entries of the batch before have been made (rule R of docs/rules.md). It is
    finished when its rows are in, all its load entries are made and used, all slices have arrived that will, no slot holds
    one of them, and the compute unit has written its last result.

    **Failure.** An error of this tile goes out as ``halt_out`` and comes back to all tiles as ``halt``. No rule fires from
    then on. Every batch in flight and every descriptor that waits gets a completion record that says so. Errors that occur
    after the first are recorded too; STOPPED is not, if the tile had failed by itself.

    **Reset.** It goes out as ``reset_out`` and comes back to all tiles as ``reset``, a level. Every tile keeps it high for
    ``hold_cycles``, until it is ``quiet``, and until each of its descriptors has its record. So all tiles leave the reset in
    the same cycle. Where each tile has a clock of its own, both wires end in the tile: ``begin_reset`` is what all tiles
    agree upon (:class:`~trajectile.hw.d2d.epochs.Epochs`), and each leaves the reset when it is ready.

    Latency: a descriptor offered in cycle c begins in c if nothing stands against it; the step from one phase to the next
    takes a cycle (``latency_cycles`` = 1). An error in cycle c ends all here in c+1 and in all other tiles in c+2. Storage: a
    descriptor, two time stamps and two counts of arrivals for each batch in flight; in a build that shares also where the
    tokens of each lie.
    """

    latency_cycles = 1

    descriptors: stream.Interface
    status: StatusPort.Interface
    now: Signal
    limit: Signal
    errors: ErrorStrobes.Interface
    begin: BeginPort.Interface
    form: FormPort.Interface
    reduce: ReducePort.Interface
    result: ResultPort.Interface
    clear: Signal
    sweep: Signal
    swept: Signal
    rows_in: Signal
    pages: data.View
    load: Signal
    load_batch: Signal
    let_in: Signal
    arrivals: Signal
    waits: Signal
    used_by: Signal
    busy: Signal
    listed: Signal
    running: Signal
    finish: Signal
    halt_out: Signal
    halt: Signal
    reset_out: Signal
    reset: Signal
    quiet: Signal
    begin_reset: Signal

    def __init__(self, params: BatchLayouts, *, hold_cycles: int):
        self.params, self.hold_cycles = params, hold_cycles
        self.independent = params.config.array.independent
        batches = params.config.tile.batches
        super().__init__({
            "descriptors": In(stream.Signature(params.descriptor_layout)),  #: from the queue
            "status": In(StatusPort(params)),  #: to the host port
            "now": In(STAMP_BITS),  #: the time
            "limit": In(32),  #: most cycles of a batch from its turn on; 0: no limit
            "errors": Out(ErrorStrobes()),  #: errors that other blocks report
            "begin": Out(BeginPort(params)),  #: to the record reader
            "form": Out(FormPort(params)),  #: to the batch former
            **({"reduce": Out(ReducePort(params))} if params.config.array.shares else {}),  #: to the reduction
            "result": Out(ResultPort(params)),  #: to the result writer
            "clear": Out(batches),  #: by batch: it begins; forget the results of the one that had its place
            "sweep": Out(batches),  #: by batch: empty its token lists
            "swept": In(batches),  #: by batch: they are empty
            "rows_in": Out(batches),  #: by batch: its activations are in the token buffer
            "pages": Out(data.ArrayLayout(params.address_bits - PAGE_BITS, batches)),  #: by batch: where its layer begins
            "load": In(1),  #: rule 1 fires
            "load_batch": In(1),  #: for a slice of this batch
            "let_in": In(batches),  #: by batch: a slot is granted to a slice of it
            "arrivals": In(params.arrival_bits),  #: with ``form.made``: slices that arrive here in that batch
            "waits": In(batches),  #: by batch: a load entry of it waits
            "used_by": In(batches),  #: by batch: a slot holds a slice of it
            "busy": In(batches),  #: by batch: the compute unit works for it
            "listed": Out(batches),  #: by batch: its token lists are complete
            "running": Out(1),  #: rules may fire: neither failed nor in reset
            "finish": Out(1),  #: the oldest batch has finished but for its results
            "halt_out": Out(1),  #: this tile fails: stop all others
            "halt": In(1),  #: another tile, or this one, has failed
            "reset_out": Out(1),  #: keep every tile in reset
            "reset": In(1),  #: blocks that hold parts of batches are in reset
            "quiet": In(1),  #: nothing is under way on DDR and io ports; looked at during ``reset``
            **({"begin_reset": In(1)} if self.independent else {}),  #: a reset begins, whoever has asked for it
        })

    def elaborate(self, platform: object) -> Module:
        """Failure and reset first; then one part for each phase."""
        m = Module()
        batches, shares = self.params.config.tile.batches, self.params.config.array.shares
        flying = range(batches)
        # State of the batches in flight, by their bit.
        descriptors = [struct_signal(self.params.descriptor_layout, name=f"descriptor_{b}") for b in flying]
        places = [struct_signal(self.params.share_layout, name=f"places_{b}") for b in flying]
        taken = Signal(batches)  # in flight
        listed = self.listed
        rows = Signal(batches)  # and its activations are in
        made = Signal(batches)  # all its load entries have been made
        done = Signal(batches)  # finished but for its results
        oldest = Signal(1)
        newest = Signal(1)  # the next to be taken
        writing = Signal()  # results or record of the oldest are being written
        stopped = Signal()
        self._failure(m, stopped, taken)
        # For what waits for a completion record: a reset, which comes from outside, is seen a cycle later.
        given_up = self.status.failed | self._reset(m, taken)

        def flip(which: Signal) -> Value:
            return ~which if batches == 2 else which

        # Begin: take a descriptor and read its records. After a failure it is taken only to get its record.
        reading = Signal()
        queue = self.descriptors
        take = Signal()
        free = ~taken.bit_select(newest, 1)
        m.d.comb += [
            self.begin.start.eq(queue.valid & ~stopped & free & ~reading & self.swept.bit_select(newest, 1)),
            take.eq(self.begin.start | (queue.valid & stopped & ~taken.any())),
            queue.ready.eq(take),
            self.begin.batch.eq(newest), self.begin.records.eq(queue.payload.records),
            self.begin.tokens.eq(queue.payload.tokens),
        ]
        if shares:
            m.d.comb += self.begin.shared.eq(queue.payload.shared)
        with m.If(self.begin.start):
            m.d.sync += reading.eq(1)
        with m.Elif(self.begin.rows_done | stopped):
            m.d.sync += reading.eq(0)
        with m.If(take):
            m.d.sync += newest.eq(flip(newest))
        latest = flip(newest)  # whose records are read

        # Form: its counts go when its lists are complete and nothing of the batch before is left to be made.
        forming = Signal()
        formed_next = Signal(1)  # whose counts go next, or go now
        m.d.comb += [
            # a batch that was given up leaves its bit in `listed`
            self.form.start.eq((taken & listed & ~made).bit_select(formed_next, 1) & ~forming & ~stopped),
            self.form.batch.eq(formed_next),
            self.form.order.eq(Array(descriptors)[formed_next].order), self.form.tag.eq(Array(descriptors)[formed_next].tag),
        ]
        if shares:
            m.d.comb += self.form.shared.eq(Array(descriptors)[formed_next].shared)
        with m.If(self.form.made | stopped):
            m.d.sync += forming.eq(0)
        with m.Elif(self.form.start):
            m.d.sync += forming.eq(1)
        with m.If(self.form.made):
            m.d.sync += formed_next.eq(flip(formed_next))

        # Finish, sums, results, record: one batch after the other.
        complete = Signal()
        ready: Value = done.bit_select(oldest, 1)  # the results of the oldest are in this tile
        if shares:
            shared = Array(descriptors)[oldest].shared
            may = shared & ready & taken.bit_select(oldest, 1) & ~writing & ~stopped
            ready &= ~shared | self._reduce(m, may, ends=complete | stopped)
            m.d.comb += [
                self.reduce.batch.eq(oldest), self.reduce.tokens.eq(Array(descriptors)[oldest].tokens),
                self.reduce.share.eq(Array(places)[oldest]), self.result.first.eq(Array(places)[oldest].own),
            ]
        m.d.comb += [
            self.result.start.eq(self.result.idle & ~writing & taken.bit_select(oldest, 1) & (ready | given_up)),
            self.result.flush.eq(given_up), self.result.batch.eq(oldest), self.result.now.eq(self.now),
            self.result.descriptor.eq(Array(descriptors)[oldest]),
            complete.eq(self.result.complete), self.status.complete.eq(complete),
            self.status.running.eq(sum(taken)),
        ]
        with m.If(self.result.start):
            m.d.sync += writing.eq(1)
        with m.Elif(complete):
            m.d.sync += [writing.eq(0), oldest.eq(flip(oldest))]

        finishes = Signal(batches)
        m.d.comb += self.finish.eq(finishes.any())
        records, firsts, lasts = [], [], []
        for b in flying:
            mine = {strobe: Signal(name=f"{strobe}_{b}") for strobe in ("takes", "begins", "completes", "loads")}
            m.d.comb += [
                mine["takes"].eq(take & (newest == b)), mine["begins"].eq(self.begin.start & (newest == b)),
                mine["completes"].eq(complete & (oldest == b)),
                mine["loads"].eq(self.load & (self.load_batch == b)),
                self.clear[b].eq(mine["begins"]), self.sweep[b].eq(finishes[b]), self.rows_in[b].eq(rows[b]),
                self.pages[b].eq(descriptors[b].layer),
            ]
            expected, arrived = (Signal(self.params.arrival_bits, name=f"{name}_{b}") for name in ("expected", "arrived"))
            first, last = (Signal(STAMP_BITS, name=f"{name}_{b}") for name in ("first_load", "last_release"))
            loaded = Signal(name=f"loaded_{b}")
            noted = Signal(3, name=f"noted_{b}")
            others_done = done[1 - b] | ~taken[1 - b] if batches == 2 else 1
            m.d.comb += finishes[b].eq(
                taken[b] & rows[b] & made[b] & ~done[b] & (arrived == expected) & ~self.waits[b] & ~self.used_by[b]
                & ~self.busy[b] & ((oldest == b) | others_done) & ~stopped)
            # Whether a descriptor is taken is known late. So one that may be is here before.
            with m.If(~taken[b]):
                m.d.sync += [
                    taken[b].eq(mine["takes"]), descriptors[b].eq(queue.payload), first.eq(queue.payload.rung),
                    last.eq(queue.payload.rung), listed[b].eq(0), rows[b].eq(0), made[b].eq(0), done[b].eq(0), arrived.eq(0),
                    loaded.eq(0), noted.eq(0),
                ]
            with m.Else():
                ours = latest == b
                with m.If(reading & ours):
                    m.d.sync += noted.eq(noted | Cat(self.begin.bad_expert, self.begin.twice, self.begin.bad_response))
                    with m.If(self.begin.lists_done):
                        m.d.sync += listed[b].eq(1)
                    if shares:
                        with m.If(~listed[b]):
                            m.d.sync += places[b].eq(self.begin.share)
                    with m.If(self.begin.rows_done):
                        m.d.sync += rows[b].eq(1)
                with m.If(self.form.made & (formed_next == b)):
                    m.d.sync += [made[b].eq(1), expected.eq(self.arrivals)]
                with m.If(self.let_in[b]):
                    m.d.sync += arrived.eq(arrived + 1)
                with m.If(mine["loads"] & ~loaded):
                    m.d.sync += [loaded.eq(1), first.eq(self.now)]
                with m.If(self.used_by[b]):
                    m.d.sync += last.eq(self.now)
                with m.If(finishes[b]):
                    m.d.sync += done[b].eq(1)
                with m.If(mine["completes"]):
                    m.d.sync += taken[b].eq(0)
            records.append(noted)
            firsts.append(first)
            lasts.append(last)
        noted_anything = Cat(self.begin.bad_expert, self.begin.twice, self.begin.bad_response).any() & reading
        m.d.sync += self.status.record.eq(noted_anything)
        first_load = Array(firsts)[oldest]
        m.d.comb += [
            self.result.first_load.eq(first_load - Array(descriptors)[oldest].rung),
            self.result.streaming.eq(Array(lasts)[oldest] - first_load),
            self.result.errors.eq(self.status.error | Array(records)[oldest] << RECORD_ERROR_LOW),
        ]
        # Nothing of an aborted batch goes on after a reset; its place in the order does not matter any more.
        with m.If(stopped):
            with m.If(~taken.any() & ~take):
                m.d.sync += [oldest.eq(0), newest.eq(0), formed_next.eq(0)]
        return m

    def _reduce(self, m: Module, may: Value, *, ends: Value) -> Signal:
        """The reduction begins when it ``may``, and once until the batch ``ends``; returns whether it is done."""
        begun, summed = Signal(name="reduction_begun"), Signal(name="summed")
        m.d.comb += self.reduce.start.eq(may & ~begun)
        with m.If(ends):
            m.d.sync += [begun.eq(0), summed.eq(0)]
        with m.Else():
            m.d.sync += [begun.eq(begun | self.reduce.start), summed.eq(summed | (begun & self.reduce.summed))]
        return summed

    def _failure(self, m: Module, stopped: Signal, taken: Signal) -> None:
        """Errors, the watchdog, what goes to all tiles."""
        status = self.status
        # A batch's turn begins when it is the oldest: what it waits for before is not its own.
        age = Signal(32)
        with m.If(~taken.any() | self.result.complete):
            m.d.sync += age.eq(0)
        with m.Else():
            m.d.sync += age.eq(age + 1)
        strobes: dict[str, Value] = {**self.errors.by_name}
        strobes["TOO_MANY"] = Const(0)
        if self.params.config.array.shares:
            # A header says it late in a cycle. The next one is early enough: no choice of its section has been taken by then.
            too_many = Signal()
            m.d.sync += too_many.eq(self.begin.too_many & ~stopped)
            strobes["TOO_MANY"] = too_many
        strobes["WATCHDOG"] = ~stopped & (self.limit != 0) & (age == self.limit)
        own = Signal()
        for strobe in strobes.values():
            with m.If(strobe):
                m.d.comb += own.eq(1)
        strobes["STOPPED"] = self.halt & ~status.failed & ~own
        m.d.comb += [
            self.halt_out.eq(own & ~status.failed & ~self.reset),
            status.fail.eq((own | self.halt) & ~status.failed & ~self.reset),
            stopped.eq(status.failed | self.reset),
            self.running.eq(~stopped),
        ]
        for number, (name, _) in enumerate(ERRORS):
            with m.If(strobes[name]):
                m.d.sync += status.error[number].eq(1)
        # Failed: any of these bits. Much hangs on it, so it has a register.
        m.d.sync += status.failed.eq(status.failed | own | self.halt)
        with m.If(self.reset):
            m.d.sync += [status.error.eq(0), status.failed.eq(0)]

    def _reset(self, m: Module, taken: Signal) -> Signal:
        """RESET: counted anew when the broadcast comes back, so that all tiles count alike. Returns whether it was there in
        the cycle before.
        """
        hold = Signal(range(self.hold_cycles + 1))
        holding = Signal()  # it is not zero: much hangs on that
        was_reset = Signal()
        m.d.sync += was_reset.eq(self.reset)
        begins = self.begin_reset if self.independent else self.status.ask_reset
        with m.If(begins | (self.reset & ~was_reset)):
            m.d.sync += [hold.eq(self.hold_cycles), holding.eq(1)]
        with m.Else():
            m.d.sync += [hold.eq(Mux(holding, hold - 1, 0)), holding.eq(hold[1:].any())]
        rests = self.quiet & ~taken.any() & ~self.descriptors.valid
        m.d.comb += [
            self.reset_out.eq(begins | holding | (self.reset & ~rests)),
            self.status.resetting.eq(holding | self.reset),
        ]
        return was_reset
