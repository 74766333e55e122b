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
    sender's, the flit at ``flits`` may be replaced by another, or by none, as long as it was not taken.

    A flit of a slice may be much wider than one of sums or of records. In the bits that those do not use the lane shows the
    sender's.

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
        for valid, others, bits in ((~slices.valid & sums.valid, sums.payload, self.params.sum_payload_bits),
                                    (~slices.valid & ~sums.valid & records.valid, records.payload,
                                     self.params.record_payload_bits)):
            with m.If(valid):
                m.d.comb += [flits.payload.kind.eq(others.kind), flits.payload.head.eq(others.head),
                             flits.payload.tail.eq(others.tail), flits.payload.payload[:bits].eq(others.payload)]
        return m
