"""Which batch does what when, in one tile: the milestones of each batch from its doorbell to its completion record.

Most of them follow from others, so they are computed as soon as those are known, often long before. A batch waits for others
in few places: for room in the queue, for the record reader, for the bank of an earlier batch, for the loads of the batch
before (its counts go out only then), and for the result writer. A shared batch also waits for other tiles: for their records,
and for their sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from trajectile.sw_model import latencies
from trajectile.sw_model.config import Config
from trajectile.sw_model.latencies import STATE_CYCLES
from trajectile.sw_model.schedule.scheduler import Schedule
from trajectile.sw_model.timeline.ingest import ingest
from trajectile.sw_model.timeline.results import write_results

#: where the completion record says how many cycles the batch took
CYCLES_BYTE = 8


@dataclass(frozen=True)
class Batch:
    """A batch as the hosts of the tiles queue it."""

    plan: Schedule
    #: cycle of the doorbell in each tile; one that finds the queue full is rung again until there is room. The first comes
    #: when the token lists have been emptied after the reset, a cycle for each expert
    doorbells: Sequence[int]
    #: addresses of token records and of results in each tile's io memory, in bytes
    records: Sequence[int]
    results: Sequence[int]
    #: bytes of a result: 4 (int32) or 2 (bf16)
    result_bytes: int = 4


@dataclass
class BatchTimes:
    """Cycles of what happens to a batch in one tile; None for what has not happened, or never does."""

    doorbell: int | None = None
    #: it leaves the queue: its records are read
    begin: int | None = None
    #: the last choice is put into its list
    lists: int | None = None
    #: the last activations are written
    rows: int | None = None
    #: the exchange of counts starts here
    exchange: int | None = None
    #: all counts of all tiles are here
    formed: int | None = None
    #: the load maker has looked at the last slice
    made: int | None = None
    #: rule 1 for the first time
    first_load: int | None = None
    #: rule 5 for the last time
    last_release: int | None = None
    #: only results are left to write
    finished: int | None = None
    #: the reduction of a shared batch starts
    reduce: int | None = None
    #: the sums of all tiles are added up
    summed: int | None = None
    #: the last beat of results goes
    written: int | None = None
    #: the first beat of the completion record is put together
    record: int | None = None
    #: the completion record is answered
    complete: int | None = None
    #: what the record says: cycles from the doorbell to the beat that says so
    cycles: int | None = None


class BatchControl:
    """The batches of one tile, in order. The tile says what its rules find out; the rest is computed here."""

    def __init__(self, config: Config, tile: int, batches: Sequence[Batch]):
        self.config, self.tile, self.batches = config, tile, batches
        self.times = [BatchTimes() for _ in batches]
        #: batch that leaves the queue next, is exchanged next, finishes next, is written next
        self.to_begin = self.to_exchange = self.to_finish = self.to_write = 0
        self.io_beats = 0

    def begin(self) -> int | None:
        """The next batch that leaves the queue, if it is known when; its own times are filled in up to ``rows``, or, if it is
        shared, up to ``begin``.
        """
        number, config = self.to_begin, self.config
        if number == len(self.batches):
            return None
        batch, times = self.batches[number], self.times[number]
        doorbell, begin = batch.doorbells[self.tile], 0
        if number:
            before = self.times[number - 1]
            if before.rows is None:
                return None
            assert before.doorbell is not None
            doorbell, begin = max(doorbell, before.doorbell + 1), before.rows + latencies.PHASE_CYCLES
        if number >= latencies.QUEUE_DEPTH:
            popped = self.times[number - latencies.QUEUE_DEPTH].begin
            assert popped is not None
            doorbell = max(doorbell, popped + latencies.QUEUE_ROOM_CYCLES)
        if number >= config.tile.batches:
            bank = self.times[number - config.tile.batches]
            if bank.complete is None or bank.finished is None:
                return None
            begin = max(begin, bank.complete + latencies.PHASE_CYCLES,
                        bank.finished + latencies.SWEEP_CYCLES + config.layer.experts)
        begin = max(begin, doorbell + latencies.QUEUE_CYCLES)
        times.doorbell, times.begin = doorbell, begin
        tokens = len(batch.plan.tiles[self.tile].records)
        if not batch.plan.shared:
            read = ingest(config, batch.records[self.tile], tokens)
            times.lists, times.rows = begin + read.lists, begin + read.rows
        self.io_beats += config.records_bytes(tokens) // config.io.bytes_per_cycle
        self.to_begin += 1
        return number

    def exchange(self) -> int | None:
        """The next batch whose counts are exchanged, if it is known when that starts; its time is filled in."""
        number = self.to_exchange
        if number == self.to_begin:
            return None
        lists = self.times[number].lists
        if lists is None:
            return None
        start = lists + latencies.PHASE_CYCLES
        if number:
            made = self.times[number - 1].made
            if made is None:
                return None
            start = max(start, made + latencies.PHASE_CYCLES)
        self.times[number].exchange = start
        self.to_exchange += 1
        return number

    def finish(self, now: int) -> None:
        """The batch that finishes next does so in this cycle."""
        self.times[self.to_finish].finished = now
        self.to_finish += 1

    def leave(self) -> int | None:
        """The next batch that leaves after it has finished, if it is known when; its times are filled in up to ``complete``.
        A shared one comes twice, at first with its times up to ``reduce``: it has to be added up.
        """
        number, config = self.to_write, self.config
        if number == self.to_finish:
            return None
        batch, times = self.batches[number], self.times[number]
        assert times.finished is not None and times.doorbell is not None
        start = times.finished + latencies.PHASE_CYCLES
        if number:
            complete = self.times[number - 1].complete
            assert complete is not None
            start = max(start, complete + latencies.PHASE_CYCLES)
        if batch.plan.shared:
            if times.reduce is None:
                times.reduce = start
                return number
            if times.summed is None:
                return None
            start = times.summed + latencies.PHASE_CYCLES
        out = write_results(config, batch.results[self.tile], len(batch.plan.tiles[self.tile].records), batch.result_bytes)
        times.record, times.complete = start + out.record, start + out.complete
        times.cycles = times.record + CYCLES_BYTE // config.io.bytes_per_cycle - times.doorbell
        times.written = None if out.written is None else start + out.written
        self.io_beats += out.beats
        self.to_write += 1
        return number

    def may_finish(self, now: int) -> bool:
        """What the batch that finishes next needs besides the rules: its loads are made, and its activations are here."""
        times = self.times[self.to_finish]
        return all(cycle is not None and cycle + STATE_CYCLES <= now for cycle in (times.rows, times.formed, times.made))
