"""The order of token records, as the proofs of the ring and of the parser know it: written from docs/dataflows.md."""

from amaranth.hdl import Const, Module, Mux, Signal, Value

from tests.formal.spec import Spec


class RecordOrder:
    """Where a batch's records are: a round of heads, then one of rows. In a shared batch a round has a section for each tile,
    and a section begins with a header; in a spread batch it has the beats of this tile's tokens, and no header.

    Args:
        spec: gets the registers.
        tiles: sections of a round.
        head_beats, row_beats: of a token.
        token_bits: of a section's number of tokens.
    """

    def __init__(self, spec: Spec, *, tiles: int, head_beats: int, row_beats: int, token_bits: int):
        self.m: Module = spec.m
        self.tiles, self.head_beats, self.row_beats = tiles, head_beats, row_beats
        most = 2**token_bits * max(head_beats, row_beats)
        #: there is a next item; it is a section's header; the batch is shared; it is of the second round
        self.active, self.header, self.shared, self.rows = (
            Signal(name=f"order_{name}") for name in ("active", "header", "shared", "rows"))
        #: whose section it is
        self.section = Signal(range(tiles), name="order_section")
        #: beats of the section from here on; the beat's place in its token's head or row
        self.left, self.beat = Signal(range(most), name="order_left"), Signal(range(max(head_beats, row_beats)))
        #: of this tile
        self.tokens = Signal(token_bits, name="order_tokens")
        self.following = spec.wire(Mux(self.section == tiles - 1, 0, self.section + 1), "order_following")
        #: the item ends its token's head or row
        self.ends_token = spec.wire(~self.header & (self.beat == self.beats(Const(1)) - 1), "order_ends_token")

    def beats(self, tokens: Value) -> Value:
        """Of so many tokens, in this round."""
        return Mux(self.rows, tokens * self.row_beats, tokens * self.head_beats)

    def ends_section(self, listed: Value) -> Value:
        """The item is the section's last one, if a header lists so many tokens."""
        return Mux(self.header, listed == 0, self.left == 1)

    @property
    def last_section(self) -> Value:
        """No other follows in this round."""
        return ~self.shared | (self.section == self.tiles - 1)

    def step(self, *, start: Value, shared: Value, tokens: Value, taken: Value, listed: Value, stop: Value) -> None:
        """A batch begins, or the item is taken, or everything is given up."""
        m, sync = self.m, self.m.d.sync
        with m.If(stop):
            sync += self.active.eq(0)
        with m.Elif(start):
            sync += [self.active.eq(shared | (tokens != 0)), self.shared.eq(shared), self.header.eq(shared), self.rows.eq(0),
                     self.section.eq(0), self.tokens.eq(tokens), self.left.eq(tokens * self.head_beats), self.beat.eq(0)]
        with m.Elif(taken & self.ends_section(listed)):
            sync += [self.header.eq(self.shared), self.section.eq(self.following), self.beat.eq(0)]
            with m.If(self.last_section):
                sync += [self.rows.eq(1), self.active.eq(~self.rows), self.section.eq(0),
                         self.left.eq(self.tokens * self.row_beats)]
        with m.Elif(taken & self.header):
            sync += [self.header.eq(0), self.left.eq(self.beats(listed))]
        with m.Elif(taken):
            sync += [self.left.eq(self.left - 1), self.beat.eq(Mux(self.ends_token, 0, self.beat + 1))]
