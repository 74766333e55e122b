"""What state a tile is in: idle, starting, running, done, failed, being reset."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import enum
from amaranth.lib.wiring import In, Out

from trajectile.hw.host.axi import HOST_DATA_BITS
from trajectile.hw.host.codes import ERRORS, Refusal
from trajectile.hw.host.ports import ErrorStrobes
from trajectile.hw.lib.block import Block


class BatchControl(Block):
    """Starts a batch with all other tiles, and ends it when the tile has finished, or when this or another tile has failed.

    START leaves the tile, and comes back to all tiles at once as ``go``; the next cycle is cycle 0. An error of this tile
    goes the same way, as ``halt_out`` and ``halt``. A tile that has failed ignores ``go``. Errors that occur after the first
    are recorded too; STOPPED is not, if the tile had failed by itself.

    RESET goes the same way, as ``reset_out`` and ``reset``, but as a level. Every tile keeps it high for ``hold_cycles`` and
    until it is ``quiet``. So all tiles leave the reset in the same cycle, when the last one is ready.

    Latency: ``go`` in cycle c makes c+1 cycle 0 of the batch (``latency_cycles`` = 1). An error in cycle c ends it here in
    c+1 and in all other tiles in c+2. A RESET in cycle c makes ``reset`` high from c+1 to c+2+``hold_cycles``, or as long as
    a tile is not quiet.
    """

    latency_cycles = 1

    start: Signal
    go: Signal
    clear: Signal
    running: Signal
    finished: Signal
    finish: Signal
    cycles: Signal
    limit: Signal
    errors: ErrorStrobes.Interface
    halt_out: Signal
    halt: Signal
    fail: Signal
    ask_reset: Signal
    reset_out: Signal
    reset: Signal
    quiet: Signal
    refusal: enum.EnumView
    busy: Signal
    done: Signal
    overrun: Signal
    failed: Signal
    resetting: Signal
    error: Signal

    def __init__(self, *, hold_cycles: int):
        self.hold_cycles = hold_cycles
        super().__init__({
            "start": In(1),  #: the host starts a batch; only while ``refusal`` is NONE
            "go": In(1),  #: start with the next cycle; ignored while a batch runs, after a failure, in a reset
            "clear": Out(1),  #: a batch starts: its cycle 0 is the next cycle
            "running": Out(1),  #: a batch runs, from cycle 0 to the cycle that finished it
            "finished": In(1),  #: nothing is left to do; looked at while ``running``
            "finish": Out(1),  #: the batch is done in this cycle
            "cycles": In(HOST_DATA_BITS),  #: number of this cycle in the batch
            "limit": In(HOST_DATA_BITS),  #: most cycles of a batch; 0: no limit
            "errors": Out(ErrorStrobes()),  #: errors that other blocks report
            "halt_out": Out(1),  #: this tile fails: stop all others
            "halt": In(1),  #: another tile, or this one, has failed
            "fail": Out(1),  #: the tile fails in this cycle
            "ask_reset": In(1),  #: the host resets the array
            "reset_out": Out(1),  #: keep every tile in reset
            "reset": In(1),  #: all blocks but the host port and the loader are in reset
            "quiet": In(1),  #: nothing is under way on the DDR port; looked at during ``reset``
            "refusal": Out(Refusal),  #: why settings, tables and START are refused in this cycle
            "busy": Out(1),  #: START is on its way, or a batch runs
            "done": Out(1),  #: the last batch has finished
            "overrun": Out(1),  #: ``go`` came while a batch ran
            "failed": Out(1),  #: an error has occurred
            "resetting": Out(1),  #: a reset is on its way or goes on
            "error": Out(len(ERRORS)),  #: which errors, one bit each in the order of ``ERRORS``
        })

    def elaborate(self, platform: object) -> Module:
        """One flip-flop per state."""
        m = Module()
        strobes: dict[str, Value] = {**self.errors.by_name}
        strobes["WATCHDOG"] = self.running & (self.limit != 0) & (self.cycles == self.limit)
        own = Signal()
        for strobe in strobes.values():
            with m.If(strobe):
                m.d.comb += own.eq(1)
        strobes["STOPPED"] = self.halt & ~self.failed & ~own
        # START is on its way: the batch has not begun, but nothing may change any more.
        starting = Signal()
        stop = Signal()
        m.d.comb += [
            self.failed.eq(self.error.any()),
            self.halt_out.eq(own & ~self.failed & ~self.reset),
            stop.eq(own | self.halt),
            self.fail.eq(stop & ~self.failed & ~self.reset),
            self.clear.eq(self.go & ~self.running & ~stop & ~self.failed & ~self.reset),
            self.busy.eq(self.running | starting | self.clear),
            self.finish.eq(self.running & self.finished & ~stop & ~self.reset),
        ]
        with m.If(self.resetting):
            m.d.comb += self.refusal.eq(Refusal.RESETTING)
        with m.Elif(self.failed | stop):
            m.d.comb += self.refusal.eq(Refusal.FAILED)
        with m.Elif(self.busy):
            m.d.comb += self.refusal.eq(Refusal.BUSY)

        for number, (name, _) in enumerate(ERRORS):
            with m.If(strobes[name]):
                m.d.sync += self.error[number].eq(1)
        with m.If(self.reset):
            m.d.sync += [self.running.eq(0), starting.eq(0), self.done.eq(0), self.overrun.eq(0), self.error.eq(0)]
        with m.Elif(stop):
            m.d.sync += [self.running.eq(0), starting.eq(0)]
        with m.Elif(self.clear):
            m.d.sync += [self.running.eq(1), starting.eq(0), self.done.eq(0), self.overrun.eq(0)]
        with m.Elif(self.start):
            m.d.sync += [starting.eq(1), self.done.eq(0)]
        with m.Elif(self.running):
            m.d.sync += [self.running.eq(~self.finished), self.done.eq(self.finished)]
            with m.If(self.go):
                m.d.sync += self.overrun.eq(1)

        # RESET: counted anew when the broadcast comes back, so that all tiles count alike.
        hold = Signal(range(self.hold_cycles + 1))
        was_reset = Signal()
        m.d.sync += was_reset.eq(self.reset)
        with m.If(self.ask_reset | (self.reset & ~was_reset)):
            m.d.sync += hold.eq(self.hold_cycles)
        with m.Else():
            m.d.sync += hold.eq(Mux(hold == 0, 0, hold - 1))
        m.d.comb += [
            self.reset_out.eq(self.ask_reset | (hold != 0) | (self.reset & ~self.quiet)),
            self.resetting.eq((hold != 0) | self.reset),
        ]
        return m
