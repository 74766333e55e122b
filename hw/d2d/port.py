"""The signals of one die-to-die port: lanes at the router, frames behind a link layer."""

from amaranth.hdl import Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.lib.signature import NamedSignature


class Message(NamedSignature):
    """A message that comes in a cycle with ``valid``, and is always taken in that cycle."""

    class Interface(wiring.PureInterface):
        valid: Signal
        payload: data.View

    def __init__(self, layout: data.Layout):
        super().__init__({
            "valid": Out(1),  #: a message comes
            "payload": Out(layout),  #: its content
        })


class SumsFlit(NamedSignature):
    """A flit of sums that comes in a cycle with ``valid``; in the cycle before it is known that one will."""

    class Interface(wiring.PureInterface):
        valid: Signal
        payload: data.View
        next_valid: Signal
        next_head: Signal

    def __init__(self, params: LinkLayouts):
        super().__init__({
            "valid": Out(1),  #: it comes
            "payload": Out(params.flit_layout),
            "next_valid": Out(1),  #: one comes in the next cycle
            "next_head": Out(1),  #: with ``next_valid``: it closes a token
        })


class SliceFlit(NamedSignature):
    """From router to receiver: a flit of a slice. What it is stands in registers beside it, since much hangs on that."""

    class Interface(wiring.PureInterface):
        header: Signal
        payload: Signal
        flit: data.View

    def __init__(self, params: LinkLayouts):
        super().__init__({
            "header": Out(1),  #: the first flit of a slice comes
            "payload": Out(1),  #: another one comes
            "flit": Out(params.flit_layout),  #: that flit
        })


class Arriving(NamedSignature):
    """From receiver to sender: the slice that is sent on as it arrives."""

    class Interface(wiring.PureInterface):
        copy: Signal
        payload: Signal
        last: Signal

    def __init__(self, params: LinkLayouts):
        super().__init__({
            "copy": Out(1),  #: a payload flit of it comes
            "payload": Out(params.payload_bits),  #: payload of the flit that comes
            "last": Out(1),  #: the last word of a slice is written into its slot in this cycle
        })


class D2DTransmit(NamedSignature):
    """What a port sends in a cycle: a flit, a request, a grant, a count word, a permit and a credit, each on its own lane.
    There are permits only where tokens travel too.

    Only the flit lane can be held up, and only by the PHY (``flit.ready``). A flit that was not taken may be replaced by
    another, or by none. So a PHY takes a flit only in a cycle with ``valid`` and ``ready``, and its ``ready`` must not wait
    for ``valid``. The receiving router has room for every flit that a credit was spent on, so there is no ``ready`` at the
    far end. A link layer takes a count word, too, only in a cycle with ``flit.ready``; a PHY takes one in every cycle.
    """

    class Interface(wiring.PureInterface):
        flit: stream.Interface
        request_valid: Signal
        request: data.View
        grant_valid: Signal
        grant: data.View
        count_valid: Signal
        count: data.View
        permit_valid: Signal
        permit: data.View
        credit: Signal

    def __init__(self, params: LinkLayouts):
        super().__init__({
            "flit": Out(stream.Signature(params.flit_layout)),  #: data lane
            "request_valid": Out(1),  #: a request for a slot goes
            "request": Out(params.request_layout),  #: control lane, with the slices
            "grant_valid": Out(1),  #: a grant goes
            "grant": Out(params.grant_layout),  #: control lane, against the slices
            "count_valid": Out(1),  #: a word of the count exchange goes
            "count": Out(params.count_layout),  #: control lane, with the slices
            **({
                "permit_valid": Out(1),  #: a permit for records or sums goes
                "permit": Out(params.permit_layout),  #: control lane, against the slices
            } if params.config.array.shares else {}),
            "credit": Out(1),  #: one flit that came by this port was taken or has gone on
        })


class D2DReceive(NamedSignature):
    """What a port receives in a cycle: the lanes of the far end's :class:`D2DTransmit`, some cycles later."""

    class Interface(wiring.PureInterface):
        flit_valid: Signal
        flit: data.View
        request_valid: Signal
        request: data.View
        grant_valid: Signal
        grant: data.View
        count_valid: Signal
        count: data.View
        permit_valid: Signal
        permit: data.View
        credit: Signal

    def __init__(self, params: LinkLayouts):
        super().__init__({
            "flit_valid": In(1),  #: a flit comes
            "flit": In(params.flit_layout),  #: data lane
            "request_valid": In(1),  #: a request for a slot comes
            "request": In(params.request_layout),  #: control lane, with the slices
            "grant_valid": In(1),  #: a grant comes
            "grant": In(params.grant_layout),  #: control lane, against the slices
            "count_valid": In(1),  #: a word of the count exchange comes
            "count": In(params.count_layout),  #: control lane, with the slices
            **({
                "permit_valid": In(1),  #: a permit for records or sums comes
                "permit": In(params.permit_layout),  #: control lane, against the slices
            } if params.config.array.shares else {}),
            "credit": In(1),  #: one flit was taken or has gone on at the far end
        })


class LanePort(NamedSignature):
    """Both directions of a port as the router sees them."""

    class Interface(wiring.PureInterface):
        tx: D2DTransmit.Interface
        rx: D2DReceive.Interface

    def __init__(self, params: LinkLayouts):
        super().__init__({"tx": Out(D2DTransmit(params)), "rx": Out(D2DReceive(params))})


class Frame(NamedSignature):
    """One direction of a port behind its link layer."""

    class Interface(wiring.PureInterface):
        frame: data.View
        clk: Signal

    def __init__(self, params: LinkLayouts):
        super().__init__({
            "frame": Out(params.frame_layout),  #: a frame
            **({"clk": Out(1)} if params.config.array.independent else {}),  #: the sender's clock goes with its frames
        })


class FramePort(NamedSignature):
    """Both directions of a port behind its link layer: one frame per cycle and direction."""

    class Interface(wiring.PureInterface):
        tx: Frame.Interface
        rx: Frame.Interface

    def __init__(self, params: LinkLayouts):
        super().__init__({
            "tx": Out(Frame(params)),  #: frame to the far end, one in every cycle
            "rx": In(Frame(params)),  #: frame from the far end; all zeros is none
        })


def d2d_port(params: LinkLayouts) -> wiring.Signature:
    """The pins of a port, as seen by the tile: frames if there is a link layer, otherwise the lanes themselves."""
    return FramePort(params) if params.config.link.crc_bits else LanePort(params)
