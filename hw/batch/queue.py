"""Descriptors between the doorbell and their batch."""

from amaranth.hdl import Module, Mux, Signal
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
        after = Signal.like(level)  # at the end of this cycle
        m.d.comb += [
            doorbell.level.eq(level), out.payload.eq(entries[0]), after.eq(level - (out.valid & out.ready) + doorbell.push),
        ]
        m.d.sync += [level.eq(after), out.valid.eq(after != 0)]
        for number, entry in enumerate(entries):
            follows = entries[number + 1] if number + 1 < QUEUE_DEPTH else doorbell.descriptor
            with m.If(out.valid & out.ready):
                m.d.sync += entry.eq(Mux(level == number + 1, doorbell.descriptor, follows))
            # Whether a descriptor comes is known late; what stands in a free place does not matter.
            with m.Elif(level <= number):
                m.d.sync += entry.eq(doorbell.descriptor)
        return m
