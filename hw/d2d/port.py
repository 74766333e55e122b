"""The signals of one die-to-die port: lanes at the router, frames behind a link layer."""

from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trajectile.hw.params import Params


class D2DTransmit(wiring.Signature):
    """What a port sends in a cycle: a flit, a request, a grant and a credit, each on its own lane.

    Only the flit lane can be held up, by the PHY (``flit.ready``); a flit that was not taken may give way to another or to
    none, so a PHY takes one in a cycle with ``valid`` and ``ready``, and its ``ready`` waits for no ``valid``. The receiving
    router has room for every flit that a credit was spent on, so there is no ``ready`` at the far end.
    """

    def __init__(self, params: Params):
        super().__init__({
            "flit": Out(stream.Signature(params.flit_layout)),  #: data lane
            "request_valid": Out(1),  #: a request for a slot goes
            "request": Out(params.request_layout),  #: control lane, with the slices
            "grant_valid": Out(1),  #: a grant goes
            "grant": Out(params.grant_layout),  #: control lane, against the slices
            "credit": Out(1),  #: one flit that came by this port was taken or has gone on
        })


class D2DReceive(wiring.Signature):
    """What a port receives in a cycle: the lanes of the far end's :class:`D2DTransmit`, some cycles later."""

    def __init__(self, params: Params):
        super().__init__({
            "flit_valid": In(1),  #: a flit comes
            "flit": In(params.flit_layout),  #: data lane
            "request_valid": In(1),  #: a request for a slot comes
            "request": In(params.request_layout),  #: control lane, with the slices
            "grant_valid": In(1),  #: a grant comes
            "grant": In(params.grant_layout),  #: control lane, against the slices
            "credit": In(1),  #: one flit was taken or has gone on at the far end
        })


class LanePort(wiring.Signature):
    """Both directions of a port as the router sees them."""

    def __init__(self, params: Params):
        super().__init__({"tx": Out(D2DTransmit(params)), "rx": Out(D2DReceive(params))})


class FramePort(wiring.Signature):
    """Both directions of a port behind its link layer: one frame a cycle and direction."""

    def __init__(self, params: Params):
        super().__init__({
            "tx": Out(wiring.Signature({"frame": Out(params.frame_layout)})),  #: frame to the far end, one in every cycle
            "rx": Out(wiring.Signature({"frame": In(params.frame_layout)})),  #: frame from the far end; all zeros is none
        })


def d2d_port(params: Params) -> wiring.Signature:
    """The pins of a port, as seen by the tile: frames if there is a link layer, otherwise the lanes themselves."""
    return FramePort(params) if params.config.link.crc_bits else LanePort(params)
