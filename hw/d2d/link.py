"""A model of a die-to-die PHY: one direction of a link as a pipeline. Not part of the tile."""

from typing import cast

from amaranth.hdl import Module, Mux, Signal, ValueLike
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.d2d.port import D2DReceive, D2DTransmit, Frame, d2d_port
from trajectile.hw.lib.block import Block


class D2DLink(Block):
    """Carries every lane, or the frame of a link layer, to the far end.

    ``hold`` stands for a PHY that is busy (retraining, replay). Without a link layer it takes no flit in that cycle; with
    one it loses the frame, and the far end sees zeros. Where tiles have clocks of their own, it runs in the sender's, and
    passes it on.

    Latency: ``latency_cycles``, which is ``link.latency_cycles`` of the configuration. Throughput: one flit or frame per
    cycle.
    """

    near: D2DTransmit.Interface | Frame.Interface
    far: D2DReceive.Interface | Frame.Interface
    hold: Signal

    def __init__(self, params: LinkLayouts):
        self.params = params
        self.latency_cycles = params.config.link.latency_cycles
        port = d2d_port(params).members
        super().__init__({
            "near": In(port["tx"].signature),  #: from the sending tile
            "far": Out(port["rx"].signature.flip()),  #: to the receiving tile
            "hold": In(1),  #: take no flit, or lose the frame
        })

    @property
    def module_name(self) -> str:
        """Verilog name."""
        return "d2d_link"

    def elaborate(self, platform: object) -> Module:
        """A shift register for each lane."""
        m = Module()
        if self.params.config.link.crc_bits:
            sent, received = cast(Frame.Interface, self.near), cast(Frame.Interface, self.far)
            if self.params.config.array.independent:
                m.d.comb += received.clk.eq(sent.clk)
            self._carry(m, "frame", Mux(self.hold, 0, sent.frame.as_value()), received.frame)
            return m
        near, far = cast(D2DTransmit.Interface, self.near), cast(D2DReceive.Interface, self.far)
        m.d.comb += near.flit.ready.eq(~self.hold)
        self._carry(m, "flit_valid", near.flit.valid & ~self.hold, far.flit_valid)
        self._carry(m, "flit", near.flit.payload, far.flit)
        self._carry(m, "request_valid", near.request_valid, far.request_valid)
        self._carry(m, "request", near.request, far.request)
        self._carry(m, "grant_valid", near.grant_valid, far.grant_valid)
        self._carry(m, "grant", near.grant, far.grant)
        self._carry(m, "count_valid", near.count_valid, far.count_valid)
        self._carry(m, "count", near.count, far.count)
        if self.params.config.array.shares:
            self._carry(m, "permit_valid", near.permit_valid, far.permit_valid)
            self._carry(m, "permit", near.permit, far.permit)
        self._carry(m, "credit", near.credit, far.credit)
        return m

    def _carry(self, m: Module, name: str, value: ValueLike, far: Signal | data.View) -> None:
        """One lane from the near end to the far end."""
        for stage in range(self.latency_cycles):
            register = Signal.like(far, name=f"{name}_{stage}")
            m.d.sync += register.eq(value)
            value = register
        m.d.comb += far.eq(value)
