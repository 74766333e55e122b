"""A model of a die-to-die PHY: one direction of a link as a pipeline. Not part of the tile."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from trajectile.hw.d2d.port import d2d_port
from trajectile.hw.lib.block import Block
from trajectile.hw.params import Params


class D2DLink(Block):
    """Carries every lane, or the frame of a link layer, to the far end in ``link.latency_cycles`` cycles.

    ``hold`` stands for a PHY that is busy (retraining, replay). Without a link layer it takes no flit in that cycle; with
    one it loses the frame, and the far end sees zeros. Throughput: one flit or frame a cycle.
    """

    def __init__(self, params: Params):
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
        near, far = self.near, self.far
        if self.params.config.link.crc_bits:
            lanes = {"frame": Mux(self.hold, 0, near.frame.as_value())}
        else:
            m.d.comb += near.flit.ready.eq(~self.hold)
            lanes = {
                "flit_valid": near.flit.valid & ~self.hold, "flit": near.flit.payload,
                "request_valid": near.request_valid, "request": near.request,
                "grant_valid": near.grant_valid, "grant": near.grant,
                "credit": near.credit,
            }
        for name, value in lanes.items():
            for stage in range(self.latency_cycles):
                register = Signal.like(getattr(far, name), name=f"{name}_{stage}")
                m.d.sync += register.eq(value)
                value = register
            m.d.comb += getattr(far, name).eq(value)
        return m
