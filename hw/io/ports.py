"""What the io port's two halves exchange with those who use them."""

from amaranth.hdl import Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.lib.signature import NamedSignature

#: bursts that are asked for and not answered, at the most, each way
IO_BURSTS = 4


class RegionPort(NamedSignature):
    """A contiguous region to read or write, by whole beats, as the user sees it. Only when all of the one before is done."""

    class Interface(wiring.PureInterface):
        start: Signal
        address: Signal
        beats: Signal

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "start": Out(1),  #: begin; the others are looked at in this cycle only
            "address": Out(params.io_address_bits),  #: the first beat's, in beats
            "beats": Out(params.region_bits),  #: how many; at least one
        })


class WritePort(NamedSignature):
    """The writing half, as its user sees it."""

    class Interface(wiring.PureInterface):
        region: RegionPort.Interface
        stop: Signal
        beats: stream.Interface
        quiet: Signal
        bad_response: Signal

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "region": Out(RegionPort(params)),  #: what to write; only when ``quiet``
            "stop": Out(1),  #: give up until the next start; not with ``start``
            "beats": Out(stream.Signature(params.io_bits)),  #: the region's beats in order
            "quiet": In(1),  #: every burst that was begun has been answered
            "bad_response": In(1),  #: strobe: a burst is answered with an error
        })


class ReadBeats(data.StructLayout):
    """A beat that was read, and whether it came with an error."""

    def __init__(self, params: BatchLayouts):
        super().__init__({"data": params.io_bits, "error": 1})
