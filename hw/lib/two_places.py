"""Two registers in a stream, so that nothing on one side depends on the other side in the same cycle."""

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from trajectile.hw.lib.block import Block
from trajectile.hw.lib.struct_signal import struct_signal


class TwoPlaces(Block):
    """Two places for what a stream carries. What is offered to it is taken while the second place is empty; what it offers
    is in the first. ``valid``, ``ready`` and the payload come from registers.

    Latency: what is put into an empty place in cycle c is offered in c+1 (``latency_cycles`` = 1); a place that is left in c
    may be taken again in c+1. Throughput: one item per cycle. Storage: two items.
    """

    latency_cycles = 1
    #: items that were taken and have not left, at the most
    places = 2

    enters: stream.Interface
    leaves: stream.Interface

    def __init__(self, layout: data.Layout):
        self.layout = layout
        super().__init__({
            "enters": In(stream.Signature(layout)),  #: what comes
            "leaves": Out(stream.Signature(layout)),  #: the same, in order
        })

    @property
    def module_name(self) -> str:
        """By the fields of an item and their sizes."""
        return "_".join(["two_places", *(f"{name}{Shape.cast(field.shape).width}" for name, field in self.layout)])

    def elaborate(self, platform: object) -> Module:
        """The second place is used only while the first is full."""
        m = Module()
        enters, leaves = self.enters, self.leaves
        full = Signal()  # an item is in the first place
        second = Signal()  # and one in the second
        held, behind = (struct_signal(self.layout, name=name, reset_less=True) for name in ("held", "behind"))
        taken = Signal()
        goes = Signal()
        m.d.comb += [
            enters.ready.eq(~second), taken.eq(enters.valid & enters.ready),
            leaves.valid.eq(full), leaves.payload.eq(held), goes.eq(full & leaves.ready),
        ]
        m.d.sync += second.eq(Mux(goes, 0, second | (taken & full)))
        with m.If(~full | goes):
            m.d.sync += [full.eq(taken | second), held.eq(Mux(second, behind, enters.payload))]
        # Whether something comes is known late; what stands in a free place does not matter.
        with m.If(~second):
            m.d.sync += behind.eq(enters.payload)
        return m
