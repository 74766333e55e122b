"""Mutants that tests must catch, of the sums of batches whose tokens all tiles hold."""

from tests.mutants.mutant import Mutant

ONE_TILE = ("tests/hw/batch/test_reduction.py::test_one_tile",)
MERGE = ("tests/hw/batch/test_read_merge.py",)
PUT = ("tests/hw/compute/test_unit.py::test_sums_are_put",)
UNIT = ("tests/hw/compute/test_unit.py::test_unit_of_another_tile",)
OWN = ("tests/hw/batch/test_result_writer.py::test_own_tokens",)

OF_SUMS = (
    # -- reduction ------------------------------------------------------------------------------------------------
    Mutant(name="sums-written-while-read", module="hw.batch.reduction",
           description="a sum is written though a word that comes reads its bank",
           old="writes.eq(waits & ~Mux(arrives, word.bank, 0))", new="writes.eq(waits)", killed_by=ONE_TILE),
    Mutant(name="sums-two-reads", module="hw.batch.reduction", description="a word is read to be sent while another comes",
           old=" & ~coming.arrives\n", new="\n", killed_by=ONE_TILE),
    Mutant(name="sums-read-while-written", module="hw.batch.reduction",
           description="a word is read to be sent though a sum waits for its bank",
           old=" & ~(coming.waits & word.bank).any()", new="", killed_by=ONE_TILE),
    Mutant(name="sums-not-permitted", module="hw.batch.reduction",
           description="words go though the far end may still compute",
           old="may_send & (word.left != 0)", new="(word.left != 0)", killed_by=ONE_TILE),
    Mutant(name="sums-permitted-for-ever", module="hw.batch.reduction", description="a permit is for all batches to come",
           old="with m.Elif(ends & (word.left == 0)):", new="with m.Elif(0):", killed_by=ONE_TILE),
    Mutant(name="sums-permit-lost", module="hw.batch.reduction", description="a permit before the start is forgotten",
           old="with m.If(self.permitted):", new="with m.If(self.permitted & (word.left != 0)):", killed_by=ONE_TILE),
    Mutant(name="sums-not-waited-for", module="hw.batch.reduction",
           description="a word is passed on before anything has been added to it",
           old="(~passes | (ahead != 0))", new="1", killed_by=ONE_TILE),
    Mutant(name="sums-overtaken", module="hw.batch.reduction",
           description="a word is read while the one before is on its way",
           old=" & ~fetched & (~flits.valid", new=" & (~flits.valid", killed_by=ONE_TILE),
    Mutant(name="sums-do-not-wrap", module="hw.batch.reduction",
           description="before the first token comes one that is not there",
           old="with m.If(base.as_value() == 0):", new="with m.If(0):", killed_by=ONE_TILE),
    Mutant(name="sums-clips-wrap", module="hw.batch.reduction", description="a count of clips begins again at its end",
           old="Mux(clips > most, most, clips)", new="clips", killed_by=ONE_TILE),
    Mutant(name="sums-any-unit", module="hw.batch.reduction", description="a unit is taken from a tile that has none",
           old=" & closing.known)", new=")", killed_by=ONE_TILE),
    Mutant(name="sums-put-in-vain", module="hw.batch.reduction",
           description="what was put is passed on as zero if the token has met nothing here",
           old="read.written.eq(~coming.arrives & going.passes)", new="read.written.eq(0)", killed_by=ONE_TILE),
    Mutant(name="sums-early", module="hw.batch.reduction", description="a batch is summed up before the last sum is written",
           old=" & ~coming.waits.any() & ~going", new=" & ~going", killed_by=ONE_TILE),
    Mutant(name="reads-mixed", module="hw.batch.read_merge", description="the reduction reads where the writer would",
           old="Mux(reduction.read, reduction.token, writer.token)", new="writer.token", killed_by=MERGE),
    # -- what is put ----------------------------------------------------------------------------------------------
    Mutant(name="lane-put-unseen", module="hw.compute.lane_memory",
           description="a group that was put is zero until its token is known",
           old="known |= self.read_written", new="pass", killed_by=PUT),
    Mutant(name="lane-put-known", module="hw.compute.lane_memory", description="a token of which all was put is not known",
           old="m.d.sync += of[self.put_token].eq(1)", new="pass", killed_by=PUT),
    Mutant(name="lane-puts-both", module="hw.compute.lane_memory", description="sums go into the other batch too",
           old="self.put[side] & is_batch(self.put_batch, number, batches)", new="self.put[side]", killed_by=PUT),
    Mutant(name="clips-put-both", module="hw.compute.clip_counter", description="counts go into the other batch too",
           old="self.put & is_batch(self.put_batch, number, batches)", new="self.put", killed_by=PUT),
    Mutant(name="unit-of-others", module="hw.compute.unit", description="a unit of another tile replaces that of a slice",
           old=" & ~known):", new="):", killed_by=UNIT),
    Mutant(name="pieces-from-the-first", module="hw.batch.result_pieces", description="results begin in the first lane",
           old="lane.eq(first_lane)", new="lane.eq(0)", killed_by=OWN),
    Mutant(name="record-any-unit", module="hw.batch.result_writer", description="a record of no tokens says a unit",
           old="Mux(descriptor.tokens == 0, 0, unit) if self", new="unit if self", killed_by=OWN),
)
