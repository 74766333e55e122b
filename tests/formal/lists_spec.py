"""Token lists: a token is in exactly the lists of its experts, and lists end."""

from amaranth.hdl import Array, Const, Mux, Signal, Value

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.batch.token_lists import TokenLists

#: a lane of three tokens with two choices each of three experts
SIZE = {"layer__d_model": 2, "layer__d_ff": 1, "layer__experts": 3, "layer__top_k": 2, "tile__mac_k": 2, "tile__mac_n": 2,
        "tile__mac_t": 1, "tile__slices": 1, "tile__slots": 2, "tile__tokens": 3, "link__beat_bytes": 1,
        "ddr__bytes_per_cycle": 1}


class ListsSpec(Spec):
    """Choices of a batch come in the order of its records; then its lists are counted and walked; then they are swept.

    ``batches``: in flight.
    """

    batches = 1

    def build(self) -> None:
        m, params = self.m, tiny(timing_only=True, tile__batches=self.batches, **SIZE)
        tokens, experts = params.config.tile.lane_tokens, params.config.layer.experts
        m.submodules.dut = dut = TokenLists(params)
        insert, counts, look_up = dut.insert, dut.counts, dut.look_up
        for path, member, value in dut.signature.flatten(dut):
            if member.flow.name == "In":
                m.d.comb += Value.cast(value).eq(self.free(len(Value.cast(value)), "_".join(map(str, path))))
        expert, batch, token = (self.constant(shape, name) for shape, name in (
            (params.expert_bits, "of_expert"), (1, "of_batch"), (params.token_bits, "of_token")))
        self.assume((expert < experts) & (token < tokens) & (batch < self.batches))

        # Records: payload holds for two cycles; in a lane tokens rise, in a token ranks.
        self.assume(~insert.insert | insert.look)
        second = self.past(insert.insert, "second")
        fields = {name: getattr(insert, name) for name in ("batch", "token", "rank", "expert", "lane")}
        for name, field in fields.items():
            self.assume(~second | (field == self.past(field, f"{name}_before")))
        self.assume((insert.batch < self.batches) & (insert.token < tokens) & (insert.expert < experts) & (insert.lane == 0))
        self.assume(~second | ~insert.look)
        self.assume((counts.batch < self.batches) & (counts.expert < experts))
        self.assume((look_up.batch < self.batches) & (look_up.expert < experts))
        next_node = Array(Signal(params.node_bits + 1, name=f"next_node_{b}") for b in range(2))
        read, walked = Array(Signal(name=f"read_{b}") for b in range(2)), Signal()
        node = insert.token * params.config.layer.top_k + insert.rank
        self.assume(~insert.insert | (node >= next_node[insert.batch]))
        with m.If(insert.insert):
            m.d.sync += next_node[insert.batch].eq(node + 1)
        # Lists are complete when they are read; the sequencer waits for what it has asked for.
        self.assume(~insert.insert | ~read[insert.batch])
        listed = Array(dut.listed[b] if b < self.batches else Const(0) for b in range(2))
        self.assume(~(insert.look | second) | ~listed[insert.batch])
        self.assume(~counts.read | listed[counts.batch])
        self.assume(~look_up.find | listed[look_up.batch])
        self.assume(~(counts.read & second) | (counts.batch != insert.batch))
        self.assume(~(look_up.find & second) | (look_up.batch != insert.batch))
        self.assume(~(counts.read & insert.look) | (counts.batch != insert.batch))
        self.assume(~(look_up.find & insert.look) | (look_up.batch != insert.batch))
        self.assume(~(counts.read & look_up.find) | (counts.batch != look_up.batch))
        found = self.past(look_up.find, "found")
        self.assume(~found | ~(look_up.find | look_up.advance))
        self.assume(~(look_up.find & look_up.advance))
        # Nobody uses what is swept, or asks for a sweep of what is in use.
        swept = Array(dut.swept[b] if b < self.batches else Const(0) for b in range(2))
        self.assume(~insert.insert | swept[insert.batch])
        self.assume(~counts.read | swept[counts.batch])
        self.assume(~look_up.find | swept[look_up.batch])
        with m.If(look_up.find):
            m.d.sync += walked.eq(look_up.batch)
        self.assume(~look_up.advance | swept[walked])
        for b in range(self.batches):
            uses = ((insert.look | second) & (insert.batch == b)) | (counts.read & (counts.batch == b)) | (
                look_up.find & (look_up.batch == b)) | ((found | look_up.advance) & (walked == b))
            self.assume(~dut.sweep[b] | (dut.swept[b] & ~uses))
            with m.If(dut.sweep[b]):
                m.d.sync += [next_node[b].eq(0), read[b].eq(0)]
            with m.Elif((counts.read & (counts.batch == b)) | (look_up.find & (look_up.batch == b))):
                m.d.sync += read[b].eq(1)

        # What is known of the marked list, and of the marked token: how long is it, is the token in it.
        length, member, last = Signal(range(tokens + 1)), Signal(), Signal(range(tokens + 1))
        sweeps = self.wire(Mux(batch, dut.sweep[-1], dut.sweep[0]), "sweeps")
        mine = self.wire((insert.expert == expert) & (insert.batch == batch), "mine")
        new = self.wire((length == 0) | (insert.token != last), "new")
        with m.If(sweeps):
            m.d.sync += [length.eq(0), member.eq(0)]
        with m.Elif(second & mine & new):
            m.d.sync += [length.eq(length + 1), last.eq(insert.token), member.eq(member | (insert.token == token))]
        self.claim("twice", "said of a token that was put into the list before, and of no other", dut.insert.twice == ~new,
                   when=second & mine)
        self.claim("twice", "the marked one", dut.insert.twice == member, when=second & mine & (insert.token == token))
        self.claim("twice", "not while nothing is put in", ~dut.insert.twice, when=~second)
        asked = self.past(counts.read & (counts.expert == expert) & (counts.batch == batch), "asked")
        self.claim("length", "the passes of an expert are the tokens in its list", counts.passes == length, when=asked)

        # A walk along the marked list: how far it is, whether the token was met.
        along, met, place = Signal(), Signal(), Signal(range(tokens + 2))
        here = self.wire(along & ~found & (walked == batch), "here")
        shown = look_up.entry[0]
        with m.If(look_up.find):
            m.d.sync += [along.eq((look_up.expert == expert) & (look_up.batch == batch)), met.eq(0), place.eq(0)]
        with m.Elif(sweeps):
            m.d.sync += along.eq(0)
        with m.Elif(look_up.advance & (place != length)):
            m.d.sync += [place.eq(place + 1), met.eq(met | (shown.token == token))]
        self.claim("length", "a list has as many entries", shown.valid == (place != length), when=here)
        self.claim("length", "and ends then", look_up.more == (place + 1 < length), when=here)
        self.claim("members", "no token twice, and none that was not put in", member & ~met,
                   when=here & shown.valid & (shown.token == token))
        self.claim("members", "every token that was put in", met == member, when=here & ~shown.valid)
        self.reach(here & met & ~shown.valid & (length == tokens))
        self.reach(second & dut.insert.twice & (insert.token == 1))
        self.reach(sweeps & (length == 2))
        self.reach(asked & (length == 0))


class TwoBatchesSpec(ListsSpec):
    """The same with lists of two batches, of which one may be put in while the other is read."""

    batches = 2


_ASSUMES = ("choices come in the order of the records, their batch is swept; lists are read when they are complete, and "
            "swept when nobody reads them any more (batch control)")
_SIZE = "a lane of three tokens, two choices each of three experts"


def _proof(name: str, group: str, says: str, mutants: tuple[str, ...], **more: object) -> Proof:
    return Proof(name=name, block="TokenLists", spec=ListsSpec, group=group, size=_SIZE, assumes=_ASSUMES, says=says,
                 mutants=mutants, **more)  # type: ignore[arg-type]


PROOFS = (
    _proof("lists-members", "members", "a walk along the list of an expert meets each token that has chosen it, once, and no "
           "other", ("lists-node-of-token", "lists-following-lost"), reach_bound=40),
    _proof("lists-length", "length", "a list ends after as many entries as its expert has passes",
           ("lists-last-lost", "lists-not-swept")),
    _proof("lists-twice", "twice", "a choice is refused if its token is in the list already, and only then",
           ("lists-twice-in",)),
    Proof(name="lists-apart", block="TokenLists", spec=TwoBatchesSpec, group="members", size=_SIZE + ", two batches",
          assumes=_ASSUMES, says="the same of two batches, one of which is put in while the other is walked",
          mutants=("lists-batch-mixed",), reach_bound=40),
)
