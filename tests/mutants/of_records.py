"""Mutants that tests must catch, of the records of batches whose tokens all tiles hold."""

from tests.mutants.mutant import Mutant

ONE_TILE = ("tests/hw/batch/test_record_ring.py::test_a_tile_of_a_ring",)
MANY = ("tests/hw/batch/test_record_ring.py::test_more_tokens_than_a_tile_holds",)
STOP = ("tests/hw/batch/test_record_ring.py::test_a_stop_ends_everything",)
SPREAD = ("tests/hw/batch/test_record_reader.py::test_records",)

OF_RECORDS = (
    # -- the ring -------------------------------------------------------------------------------------------------
    Mutant(name="records-without-room", module="hw.batch.record_ring", description="work begins on what cannot go on yet",
           old="(~goes_on | go.ready)", new="1", killed_by=ONE_TILE),
    Mutant(name="records-wait-in-vain", module="hw.batch.record_ring",
           description="what does not go on waits for room all the same",
           old="(~goes_on | go.ready)", new="(~walks | go.ready)", killed_by=ONE_TILE),
    Mutant(name="records-come-back", module="hw.batch.record_ring", description="records go on to the tile they come from",
           old="goes_on.eq(walks & (source != ring_next))", new="goes_on.eq(walks)", killed_by=ONE_TILE),
    Mutant(name="records-own-first", module="hw.batch.record_ring", description="each tile begins with its own section",
           old="source.eq(0), rows", new="source.eq(self.position), rows", killed_by=ONE_TILE),
    Mutant(name="records-third-round", module="hw.batch.record_ring", description="after the rows come heads again",
           old="walks.eq(walks & ~rows)", new="walks.eq(walks)", killed_by=ONE_TILE),
    Mutant(name="records-heads-only", module="hw.batch.record_ring", description="a batch after another has one round",
           old="rows.eq(0), header.eq(1)]", new="header.eq(1)]", killed_by=ONE_TILE),
    Mutant(name="records-error-lost", module="hw.batch.record_ring", description="a beat goes on as if it had no error",
           old="items.payload.error.eq(self.own.payload.error)", new="items.payload.error.eq(0)", killed_by=ONE_TILE),
    Mutant(name="records-of-a-batch-to-come", module="hw.batch.record_ring",
           description="a spread batch takes what comes from the ring",
           old="section.own.eq(~walks | (source == self.position))", new="section.own.eq(source == self.position)",
           killed_by=SPREAD),
    Mutant(name="records-after-a-stop", module="hw.batch.record_ring", description="in the cycle of a stop an item is taken",
           old=" & ~self.stop)", new=")", killed_by=STOP),
    Mutant(name="records-not-forgotten", module="hw.batch.record_ring", description="a stop leaves a batch where it is",
           old="m.d.sync += walks.eq(0)", new="pass", killed_by=STOP),
    # -- sections -------------------------------------------------------------------------------------------------
    Mutant(name="sections-never-empty", module="hw.batch.record_parser", description="a section without tokens does not end",
           old="(self._tokens == 0)", new="0", killed_by=ONE_TILE),
    Mutant(name="sections-last-empty", module="hw.batch.record_parser",
           description="rows begin where the heads ended, if no token is in the last section",
           old="with m.If(all_end):\n            m.d.sync += [lane",
           new="with m.If(all_end & ends):\n            m.d.sync += [lane", killed_by=ONE_TILE),
    Mutant(name="sections-one-list", module="hw.batch.record_parser", description="lists are complete with any section",
           old="section.ends & section.last", new="section.ends", killed_by=ONE_TILE),
    Mutant(name="sections-no-tokens", module="hw.batch.record_parser",
           description="a tile without tokens has nothing to do with a shared batch",
           old="empty & ~begin.shared", new="empty", killed_by=ONE_TILE),
    Mutant(name="share-remembers", module="hw.batch.record_parser", description="tokens of the batch before count too",
           old="m.d.sync += noted.eq(0)", new="pass", killed_by=ONE_TILE),
    Mutant(name="share-of-spread", module="hw.batch.record_parser", description="a spread batch has a last token",
           old=" & section.shared", new="", killed_by=SPREAD),
    Mutant(name="share-counts-wrong", module="hw.batch.record_parser",
           description="tokens of all tiles so far count as the ring-previous one's",
           old="share.before.eq(self._tokens)", new="share.before.eq(total)", killed_by=ONE_TILE),
    Mutant(name="share-too-few", module="hw.batch.record_parser", description="as many tokens as a tile holds are too many",
           old="exceeds(total, self.params.config.tile.tokens)", new="exceeds(total, self.params.config.tile.tokens - 1)",
           killed_by=MANY),
    Mutant(name="share-wraps", module="hw.batch.record_parser", description="the sum of tokens wraps before it is compared",
           old="total = noted.total + self._tokens", new="total = (noted.total + self._tokens)[:-1]", killed_by=MANY),
)
