"""Mutants that tests must catch, of what tiles with clocks of their own need."""

from tests.mutants.mutant import Mutant

CROSSING = ("tests/hw/d2d/test_crossing.py",)
TRAINING = ("tests/hw/d2d/test_training.py",)
EPOCHS = ("tests/hw/d2d/test_epochs.py",)

OF_CLOCKS = (
    # -- crossing between clocks ----------------------------------------------------------------------------------
    Mutant(name="crossing-late", module="hw.d2d.crossing", description="a pointer takes three flip-flops",
           old='written_seen, o_domain="sync", ', new='written_seen, o_domain="sync", stages=3, ', killed_by=CROSSING),
    Mutant(name="crossing-keeps-idle", module="hw.d2d.crossing", description="no IDLE frame is left out while there is room",
           old="level < FULL_ENOUGH, level < DEPTH)", new="level < DEPTH, level < DEPTH)", killed_by=CROSSING),
    Mutant(name="crossing-shows-again", module="hw.d2d.crossing", description="while it is empty it repeats the last frame",
           old="Mux(shown, read.data, 0)", new="read.data", killed_by=CROSSING),
    Mutant(name="crossing-writes-nothing", module="hw.d2d.crossing", description="a pause of the sender takes room",
           old="(self.come.kind != FrameKind.NOTHING)\n                           & ", new="", killed_by=CROSSING),
    Mutant(name="crossing-half-reset", module="hw.d2d.crossing", description="rst does not reach the sender's side",
           old="held = Signal(init=1)", new="held = Signal(init=1, reset_less=True)", killed_by=CROSSING),
    # -- training of links ----------------------------------------------------------------------------------------
    Mutant(name="training-settles-early", module="hw.d2d.training",
           description="a frame of the handshake that comes again counts as a new beginning",
           old="(settled == self.settle_cycles) & ~tile.restart", new="~tile.restart", killed_by=TRAINING),
    Mutant(name="training-new-unnoticed", module="hw.d2d.training", description="a far end that knows no epoch is no news",
           old="((news.state == LinkState.NEW) | (same & (news.state == LinkState.CLOSED)))",
           new="(same & (news.state == LinkState.CLOSED))", killed_by=TRAINING),
    Mutant(name="training-old-failures", module="hw.d2d.training", description="failures of any epoch are heard",
           old="tile.halted.eq(same & ", new="tile.halted.eq(comes & ", killed_by=TRAINING),
    Mutant(name="training-open-in-reset", module="hw.d2d.training", description="DATA may go while the tile is in reset",
           old="(reached == LinkState.OPEN) & ~tile.restart)", new="(reached == LinkState.OPEN))", killed_by=TRAINING),
    Mutant(name="training-hears-asleep", module="hw.d2d.training", description="frames of the time before `rst` are heard",
           old="self.comes & tile.awake", new="self.comes", killed_by=TRAINING),
    Mutant(name="training-stays-ready", module="hw.d2d.training", description="readiness outlives a reset",
           old="settled.eq(0), ready.eq(0)]", new="settled.eq(0)]", killed_by=TRAINING),
    # -- epochs ---------------------------------------------------------------------------------------------------
    Mutant(name="epochs-any-other", module="hw.d2d.epochs", description="any other epoch counts as later",
           old="return (ahead != 0) & Mux(ahead == 1 << EPOCH_BITS - 1, one[-1], ~ahead[-1])", new="return ahead != 0",
           killed_by=EPOCHS),
    Mutant(name="epochs-half-a-turn", module="hw.d2d.epochs", description="half a turn away each is later than the other",
           old="Mux(ahead == 1 << EPOCH_BITS - 1, one[-1], ~ahead[-1])", new="((ahead == 1 << EPOCH_BITS - 1) | ~ahead[-1])",
           killed_by=EPOCHS),
    Mutant(name="epochs-no-numbers", module="hw.d2d.epochs", description="a reset does not get a number of its own",
           old="self.epoch.eq(self.epoch + 1)", new="self.epoch.eq(self.epoch)", killed_by=EPOCHS),
    Mutant(name="epochs-wish-in-reset", module="hw.d2d.epochs", description="a wish during a reset begins another epoch",
           old="(self.ask & ~self.restart)", new="self.ask", killed_by=EPOCHS),
    Mutant(name="epochs-taken-over-only", module="hw.d2d.epochs", description="a later epoch is taken over without a reset",
           old="self.begins.eq(overtaken | anew | self.ask)", new="self.begins.eq(anew | self.ask)", killed_by=EPOCHS),
    Mutant(name="epochs-half-a-batch", module="hw.d2d.epochs", description="nobody minds that a neighbour has begun anew",
           old="((self.ask & ~self.restart) | restarted)", new="self.ask & ~self.restart", killed_by=EPOCHS),
    Mutant(name="epochs-awake-at-once", module="hw.d2d.epochs", description="after `rst` a tile hears frames of before",
           old="awake.eq(wake == self.wake_cycles)", new="awake.eq(1)", killed_by=EPOCHS),
    Mutant(name="epochs-wait-for-the-dead", module="hw.d2d.epochs", description="a die that is off is waited for",
           old="link.is_open | link.silent for", new="link.is_open for", killed_by=EPOCHS),
    Mutant(name="epochs-for-ever", module="hw.d2d.epochs", description="patience has no end",
           old=" | (patience == 0)", new="", killed_by=EPOCHS),
    Mutant(name="epochs-one-hop", module="hw.d2d.epochs", description="a tile whose links are open speaks for all others",
           old="Mux(least >= most, most, least + 1)", new="most", killed_by=EPOCHS),
    Mutant(name="epochs-ready-in-reset", module="hw.d2d.epochs", description="a tile in reset lets the wave pass",
           old="here.eq(self.known & ~self.restart & ", new="here.eq(self.known & ", killed_by=EPOCHS),
    Mutant(name="epochs-halt-lost", module="hw.d2d.epochs", description="failures are not heard",
           old="Cat(link.halted for link in links).any()", new="0", killed_by=EPOCHS),
)
