"""Descriptors between the doorbell and their batch."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.batch.ports import QUEUE_DEPTH, DoorbellPort
from trajectile.hw.lib.block import Block


class BatchQueue(Block):
    """First in, first out. It is not part of the reset by the host: what was queued stays, and comes out.

    Latency: a descriptor pushed in cycle d is offered from d+1 on (``latency_cycles`` = 1), when all before it are taken.
    Throughput: one descriptor per cycle. Storage: ``QUEUE_DEPTH`` descriptors.
    """

    latency_cycles = 1

    doorbell: DoorbellPort.Interface
    descriptors: stream.Interface

    def __init__(self, params: BatchLayouts):
        self.params = params
        super().__init__({
            "doorbell": In(DoorbellPort(params)),  #: from the host port
            "descriptors": Out(stream.Signature(params.descriptor_layout)),  #: to batch control, oldest first
        })

    def elaborate(self, platform: object) -> Module:
        """Registers; all move on when the oldest is taken."""
        m = Module()
        doorbell, out = self.doorbell, self.descriptors
        entries = [Signal(self.params.descriptor_layout, name=f"entry_{number}") for number in range(QUEUE_DEPTH)]
        level = Signal(range(QUEUE_DEPTH + 1))
        kept = Signal.like(level)  # without the one that is taken in this cycle
        m.d.comb += [
            doorbell.level.eq(level), out.valid.eq(level != 0), out.payload.eq(entries[0]),
            kept.eq(level - (out.valid & out.ready)),
        ]
        m.d.sync += level.eq(kept + doorbell.push)
        for number, entry in enumerate(entries):
            with m.If(doorbell.push & (kept == number)):
                m.d.sync += entry.eq(doorbell.descriptor)
            if number + 1 < QUEUE_DEPTH:
                with m.Elif(out.ready):
                    m.d.sync += entry.eq(entries[number + 1])
        return m
