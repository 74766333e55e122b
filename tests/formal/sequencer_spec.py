"""The MAC sequencer: it reads the slot that it was given, from start to done, and is done once with each."""

from amaranth.hdl import Mux, Signal, Value

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.compute.sequencer import MacSequencer

#: a slice of eleven words: two of parameters, five of the gate-up matrix, four of the down matrix
SIZE = {"layer__d_model": 7, "layer__d_ff": 1, "layer__experts": 2, "layer__top_k": 1, "layer__bias": True,
        "tile__mac_k": 2, "tile__mac_n": 2, "tile__mac_t": 1, "tile__slices": 1, "tile__slots": 4, "tile__tokens": 2,
        "link__beat_bytes": 1, "ddr__bytes_per_cycle": 1}


class SequencerSpec(Spec):
    """Lists with any contents; slices of two batches whenever it is ready."""

    changes = {"tile__batches": 2, **SIZE}

    def build(self) -> None:
        m, params = self.m, tiny(**self.changes)
        m.submodules.dut = dut = MacSequencer(params)
        for path, member, value in dut.signature.flatten(dut):
            if member.flow.name == "In":
                m.d.comb += Value.cast(value).eq(self.free(len(Value.cast(value)), "_".join(map(str, path))))
        self.assume(~dut.compute.start | dut.compute.ready)
        # The slice being read, and one that may have been started before that is done.
        active, waits = Signal(), Signal()
        slot, next_slot = Signal(params.slot_bits), Signal(params.slot_bits)
        batch, next_batch = Signal(), Signal()
        with m.If(dut.compute.start & active & ~dut.compute.done):
            m.d.sync += [waits.eq(1), next_slot.eq(dut.compute.slot), next_batch.eq(dut.compute.batch)]
        with m.Elif(dut.compute.start):
            m.d.sync += [active.eq(1), slot.eq(dut.compute.slot), batch.eq(dut.compute.batch)]
        with m.Elif(dut.compute.done):
            m.d.sync += [active.eq(waits), slot.eq(next_slot), batch.eq(next_batch), waits.eq(0)]
        self.claim("slot", "no slice is started before the one before it has begun", ~waits, when=dut.compute.start)
        self.claim("slot", "words of the slice that was started first, and no others",
                   active & (dut.slot == slot) & (dut.batch == batch) & (dut.word < params.config.slice_words),
                   when=dut.issue)
        self.claim("slot", "done with it", active & (dut.slot == slot) & dut.issue
                   & (dut.word == params.config.slice_words - 1), when=dut.compute.done)
        self.claim("slot", "busy with its batch", Mux(batch, dut.busy[1], dut.busy[0]), when=active)
        self.claim("slot", "and with that of the slice that waits", Mux(next_batch, dut.busy[1], dut.busy[0]), when=waits)
        self.reach(dut.compute.start & active & ~dut.compute.done)
        self.reach(dut.compute.done & waits & (next_batch != batch))


class RegisteredSequencerSpec(SequencerSpec):
    """The same with a register for starts, and with a word more of the down matrix, as the setup takes a cycle more."""

    changes = SequencerSpec.changes | {"tile__register_starts": True, "layer__d_model": 9}


PROOFS = (
    Proof(name="sequencer-slot", block="MacSequencer", spec=SequencerSpec, group="slot", size="slices of 11 words, 4 slots",
          assumes="started only when ready (engine-compute); lists hold anything",
          says="only words of the slice that was started first and is not done are read; `done` once for each, with its last,"
               " and busy with its batch until then",
          mutants=("sequencer-slot-early", "sequencer-ready-early", "sequencer-batch-early"), mutant_bound=45,
          reach_bound=60),
    Proof(name="sequencer-slot-registered", block="MacSequencer", spec=RegisteredSequencerSpec, group="slot",
          size="slices of 13 words, 4 slots", assumes="as sequencer-slot", says="the same with registered starts",
          mutants=("sequencer-ready-early", "sequencer-ready-again"), mutant_bound=45, reach_bound=60),
)
