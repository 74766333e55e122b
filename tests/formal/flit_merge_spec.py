"""The merge of a tile's flits: slices as if there were nothing else, and every flit goes once, unchanged."""

from amaranth.hdl import Cat, Mux, Signal
from amaranth.lib import data

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.d2d.flit_merge import FlitMerge
from trajectile.hw.d2d.layouts import FlitKind


class FlitMergeSpec(Spec):
    """Any flits, and a lane that takes one when it likes."""

    def build(self) -> None:
        m, params = self.m, tiny(array__dataflows="both")
        params.flit_layout = data.StructLayout({"kind": FlitKind, "head": 1, "tail": 1, "payload": 3})
        params.sum_payload_bits, params.record_payload_bits = bits = 2, 1
        m.submodules.dut = dut = FlitMerge(params)
        sources = {"slices": dut.slices, "sums": dut.sums, "records": dut.records}
        for name, source in sources.items():
            m.d.comb += [source.valid.eq(self.free(1, f"{name}_valid")),
                         source.payload.eq(self.free(params.flit_layout, f"{name}_flit"))]
        ready = self.free(1, "ready")
        m.d.comb += dut.flits.ready.eq(ready)
        out, shown = dut.flits, dut.flits.payload.as_value()
        takes = {name: self.wire(source.valid & source.ready, f"takes_{name}") for name, source in sources.items()}
        goes = self.wire(out.valid & ready, "goes")
        self.claim("slices", "a flit of a slice goes whenever the lane takes one", dut.slices.ready == ready)
        waited = self.past(dut.slices.valid & ~takes["slices"], "waited")
        self.claim("slices", "so it has waited for nothing but the lane", ~self.past(ready, "was_ready"), when=waited)
        self.claim("slices", "and is what the lane shows, unchanged", out.valid & (shown == dut.slices.payload.as_value()),
                   when=dut.slices.valid)
        self.claim("all", "what goes is taken from one, and nothing else is taken", sum(takes.values()) == goes)
        taken, gone = Signal(8), Signal(8)
        m.d.sync += [taken.eq(taken + sum(takes.values())), gone.eq(gone + goes)]
        self.claim("all", "as many have gone as were taken", taken == gone)
        for name, used in zip(("sums", "records"), bits, strict=True):
            source = sources[name].payload
            self.claim("all", "unchanged but for what it does not use", (Cat(
                out.payload.kind, out.payload.head, out.payload.tail, out.payload.payload[:used]) == Cat(
                    source.kind, source.head, source.tail, source.payload[:used])), when=takes[name])
        self.claim("all", "unchanged", shown == dut.slices.payload.as_value(), when=takes["slices"])
        self.claim("all", "what is not used is the sender's", Mux(takes["records"], out.payload.payload[1:] == (
            dut.slices.payload.payload[1:]), out.payload.payload[2:] == dut.slices.payload.payload[2:]), when=goes)
        self.claim("all", "the lane has a flit if there is one", out.valid == Cat(
            source.valid for source in sources.values()).any())
        self.claim("all", "sums go before records", ~takes["records"], when=dut.sums.valid)
        for take in takes.values():
            self.reach(take)


_SIZE = "flits of 7 bits, of sums 6, of records 5"
PROOFS = (
    Proof(name="merge-slices", block="FlitMerge", spec=FlitMergeSpec, group="slices", size=_SIZE, assumes="nothing",
          says="flits of slices go as if there were no others", mutants=("merge-slices-wait", "merge-sums-first"), quick=True,
          reach_bound=8),
    Proof(name="merge-all", block="FlitMerge", spec=FlitMergeSpec, group="all", size=_SIZE, assumes="nothing",
          says="every flit goes once, unchanged; one at a time; sums before records", mutants=("merge-two-at-once",)),
)
