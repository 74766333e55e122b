"""The flits of a tile that holds all tokens of a batch: slices, sums, records on one data lane."""

from amaranth.hdl import Module
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.lib.block import Block


class FlitMerge(Block):
    """Puts three streams of flits on the way to the ring-next tile, by fixed priority: slices first, then sums, then
    records.

    To the sender it looks as if there were nothing else: its flit goes in the cycle in which the router takes one. Like the
    sender's, the flit at ``flits`` may be replaced by another as long as it was not taken.

    Latency: none, a flit is at ``flits`` in the cycle in which it is offered (``latency_cycles`` = 0). Throughput: one flit
    per cycle, of all three together. Storage: none.
    """

    latency_cycles = 0

    slices: stream.Interface
    sums: stream.Interface
    records: stream.Interface
    flits: stream.Interface

    def __init__(self, params: LinkLayouts):
        self.params = params
        flits = stream.Signature(params.flit_layout)
        super().__init__({
            "slices": In(flits),  #: from the sender; they never wait for the others
            "sums": In(flits),  #: from the reduction
            "records": In(flits),  #: from the record port
            "flits": Out(flits),  #: to the router
        })

    def elaborate(self, platform: object) -> Module:
        """Without any flit the lane shows the sender's, as it does where there is nothing to merge."""
        m = Module()
        slices, sums, records, flits = self.slices, self.sums, self.records, self.flits
        m.d.comb += [
            flits.valid.eq(slices.valid | sums.valid | records.valid),
            slices.ready.eq(flits.ready),
            sums.ready.eq(flits.ready & ~slices.valid),
            records.ready.eq(flits.ready & ~slices.valid & ~sums.valid),
            flits.payload.eq(slices.payload),
        ]
        with m.If(~slices.valid & sums.valid):
            m.d.comb += flits.payload.eq(sums.payload)
        with m.Elif(~slices.valid & records.valid):
            m.d.comb += flits.payload.eq(records.payload)
        return m
