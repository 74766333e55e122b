"""The pins towards a DDR controller: one read port, or as many as ``ddr.ports`` says."""

from amaranth.hdl import Module
from amaranth.lib.wiring import Member, Out, connect, flipped

from trajectile.hw.host.axi import Axi4Read
from trajectile.hw.widths import Widths

#: the ports of one channel
ChannelPorts = Axi4Read.Interface | list[Axi4Read.Interface]


def ddr_member(params: Widths, *dimensions: int) -> Member:
    """A channel's port; an array of ports where there are several. ``dimensions``: of an array of channels."""
    port, count = Out(Axi4Read(params.address_bits, params.beat_bits)), params.config.ddr.ports
    if count > 1:
        dimensions = (*dimensions, count)
    return port.array(*dimensions) if dimensions else port


def lead_out(m: Module, inside: ChannelPorts, pins: ChannelPorts) -> None:
    """Connect a channel's ports to those of the block around."""
    if isinstance(inside, list) and isinstance(pins, list):
        for one, pin in zip(inside, pins, strict=True):
            connect(m, one, flipped(pin))
    else:
        connect(m, inside, flipped(pins))
