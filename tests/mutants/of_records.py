"""Mutants that tests must catch, of the records of batches whose tokens all tiles hold."""

from tests.mutants.mutant import Mutant

ONE_TILE = ("tests/hw/batch/test_record_ring.py::test_a_tile_of_a_ring",)
MANY = ("tests/hw/batch/test_record_ring.py::test_more_tokens_than_a_tile_holds",)
STOP = ("tests/hw/batch/test_record_ring.py::test_a_stop_ends_everything",)
SPREAD = ("tests/hw/batch/test_record_reader.py::test_records",)

OF_RECORDS = (
    # -- the ring -------------------------------------------------------------------------------------------------
    Mutant(name="records-without-room", module="hw.batch.record_ring", description="work begins on what cannot go on yet",
           old="room = ~goes_on | go.ready", new="room = 1", killed_by=ONE_TILE),
    Mutant(name="records-wait-in-vain", module="hw.batch.record_ring",
           description="what does not go on waits for room all the same",
           old="room = ~goes_on | go.ready", new="room = ~walks | go.ready", killed_by=ONE_TILE),
    Mutant(name="records-come-back", module="hw.batch.record_ring", description="records go on to the tile they come from",
           old="goes_on.eq(walks & ~own)", new="goes_on.eq(walks)", killed_by=ONE_TILE),
    Mutant(name="records-own-first", module="hw.batch.record_ring", description="each tile begins with its own section",
           old="source.eq(0), rows", new="source.eq(self.position), rows", killed_by=ONE_TILE),
    Mutant(name="records-third-round", module="hw.batch.record_ring", description="after the rows come heads again",
           old="m.d.sync += [walks.eq(0), header.eq(0), own.eq(1), goes_on.eq(0)]", new="pass", killed_by=ONE_TILE),
    Mutant(name="records-heads-only", module="hw.batch.record_ring", description="a batch after another has one round",
           old="rows.eq(0), header.eq(self.shared)", new="header.eq(self.shared)", killed_by=ONE_TILE),
    Mutant(name="records-error-lost", module="hw.batch.record_ring", description="a beat goes on as if it had no error",
           old="item.error.eq(self.own.payload.error)", new="item.error.eq(0)", killed_by=ONE_TILE),
    Mutant(name="records-of-a-batch-to-come", module="hw.batch.record_ring",
           description="a spread batch takes what comes from the ring",
           old="own.eq(~walks | item.before)", new="own.eq(item.before)", killed_by=SPREAD),
    Mutant(name="records-one-round-of-spread", module="hw.batch.record_ring",
           description="of a spread batch's rows those are counted whose heads were left",
           old="header.eq(walks), left.eq(tokens), beat.eq(0)", new="header.eq(walks), beat.eq(0)", killed_by=SPREAD),
    Mutant(name="records-after-a-stop", module="hw.batch.record_parser",
           description="in the cycle of a stop a choice is put into its list", old="~spoilt & ~self.stop", new="~spoilt",
           killed_by=STOP),
    Mutant(name="records-filled-after-a-stop", module="hw.batch.record_parser",
           description="in the cycle of a stop a word is put into the token buffer",
           old="self.fill.write.eq(write & ~self.stop)", new="self.fill.write.eq(write)", killed_by=STOP),
    Mutant(name="records-not-forgotten", module="hw.batch.record_reader", description="a stop leaves a batch where it is",
           old="place(m, platform, reset=self.stop, record_ring=ring)", new="place(m, platform, record_ring=ring)",
           killed_by=STOP),
    Mutant(name="records-left-over", module="hw.batch.record_reader", description="a stop leaves items before the parser",
           old="reset=self.stop, places=places, record_parser=parser)",
           new="places=places)\n        place(m, platform, reset=self.stop, record_parser=parser)", killed_by=STOP),
    # -- sections -------------------------------------------------------------------------------------------------
    Mutant(name="sections-never-empty", module="hw.batch.record_ring", description="a section without tokens does not end",
           old="listed == 0", new="0", killed_by=ONE_TILE),
    Mutant(name="sections-last-empty", module="hw.batch.record_parser",
           description="rows begin where the heads ended, if no token is in the last section",
           old="with m.If(all_end):\n            m.d.sync += [lane",
           new="with m.If(all_end & ends):\n            m.d.sync += [lane", killed_by=ONE_TILE),
    Mutant(name="sections-one-list", module="hw.batch.record_ring", description="lists are complete with any section",
           old="item.last.eq(ends & last)", new="item.last.eq(ends)", killed_by=ONE_TILE),
    Mutant(name="sections-no-tokens", module="hw.batch.record_parser",
           description="a tile without tokens has nothing to do with a shared batch",
           old="empty & ~begin.shared", new="empty", killed_by=ONE_TILE),
    Mutant(name="share-remembers", module="hw.batch.record_parser", description="tokens of the batch before count too",
           old="m.d.sync += noted.eq(0)", new="pass", killed_by=ONE_TILE),
    Mutant(name="share-of-spread", module="hw.batch.record_parser", description="a spread batch has a last token",
           old="(part == Part.HEADS) & shared", new="part == Part.HEADS", killed_by=SPREAD),
    Mutant(name="share-counts-wrong", module="hw.batch.record_parser",
           description="tokens of all tiles so far count as the ring-previous one's",
           old="share.before.eq(self._tokens)", new="share.before.eq(total)", killed_by=ONE_TILE),
    Mutant(name="share-too-few", module="hw.batch.record_parser", description="as many tokens as a tile holds are too many",
           old="exceeds(total, self.params.config.tile.tokens)", new="exceeds(total, self.params.config.tile.tokens - 1)",
           killed_by=MANY),
    Mutant(name="share-wraps", module="hw.batch.record_parser", description="the sum of tokens wraps before it is compared",
           old="total = noted.total + self._tokens", new="total = (noted.total + self._tokens)[:-1]", killed_by=MANY),
)
