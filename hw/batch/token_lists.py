"""The token lists of a tile: which tokens of each lane have chosen each expert."""

from functools import reduce
from itertools import product

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.batch.ports import CountPort, InsertPort, LookUpPort
from trajectile.hw.lib.batches import is_batch, of_batch
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.sram import Sram1RW
from trajectile.hw.lib.struct_signal import struct_signal


class TokenLists(Block):
    """A linked list for each expert, lane and batch. Its head has its length and its first node; a node has a token, and
    where the list goes on. A choice is put in front, so a list has its tokens in the reverse of the order in which they came.

    A token's choice of rank r has the node ``token * top_k + r``, so nodes are never allocated. Tokens of a lane come with
    rising numbers, each with all its choices. So a token that is in a list already is the first one there, and one
    comparison with the head finds an expert that a token has chosen twice.

    Each lane and batch has its own SRAM: choices of one batch come while the lists of the other are walked.

    Latency: a choice is in its list ``insert_cycles`` = 2 after ``insert``; passes of an expert come ``count_cycles`` = 1
    after ``counts.read``, and hold until that batch's heads are used again; the first entry of an expert's lists is shown
    two cycles after ``look_up.find`` (``latency_cycles`` = 2), the next one ``advance_cycles`` = 1 after each
    ``look_up.advance``. With ``sweep``, and after a reset, a batch's lists are emptied, one expert per cycle from the next
    cycle on. Throughput: a choice every two cycles, a count and an entry per cycle. Storage: SRAM, per lane and batch a head
    for each expert and a node for each choice; one bit per lane, a number of an expert per batch.
    With ``timing_only`` the nodes have neither weight nor exponent.
    """

    latency_cycles = 2
    insert_cycles = 2
    count_cycles = 1
    advance_cycles = 1

    insert: InsertPort.Interface
    counts: CountPort.Interface
    look_up: LookUpPort.Interface
    listed: Signal
    sweep: Signal
    swept: Signal

    def __init__(self, params: BatchLayouts):
        self.params = params
        self.batches = batches = params.config.tile.batches
        super().__init__({
            "insert": In(InsertPort(params)),  #: from the record reader
            "counts": In(CountPort(params)),  #: from the count exchange
            "look_up": In(LookUpPort(params)),  #: from the MAC sequencer
            "listed": In(batches),  #: the lists of these batches are complete: only now are they counted and walked
            "sweep": In(batches),  #: empty the lists of these batches; nobody may use them until they are ``swept``
            "swept": Out(batches),  #: the lists of these batches have been emptied
        })

    def elaborate(self, platform: object) -> Module:
        """Two SRAMs for each lane and batch: heads, nodes."""
        m = Module()
        params, config = self.params, self.params.config
        lanes, batches = range(config.tile.mac_t), range(self.batches)
        heads, nodes = ({(batch, lane): Sram1RW(depth=depth, width=layout.size) for batch, lane in product(batches, lanes)}
                        for depth, layout in ((config.layer.experts, params.list_head_layout),
                                              (params.node_depth, params.node_layout)))
        for name, srams in (("heads", heads), ("nodes", nodes)):
            place(m, platform, {f"{name}_{batch}_{lane}": sram for (batch, lane), sram in srams.items()})

        def head_of(batch: Value, lane: int) -> data.View:
            return data.View(params.list_head_layout, of_batch(batch, [heads[b, lane].rdata for b in batches]))

        # Insertion: the head is read, then written, and the node.
        insert = self.insert
        write = Signal(name="insert_write")
        m.d.sync += write.eq(insert.insert)
        first_node = Signal(params.node_bits)
        own_node = Signal(params.node_bits)
        old = struct_signal(params.list_head_layout, name="old_head")
        new_head = struct_signal(params.list_head_layout, name="new_head")
        new_node = struct_signal(params.node_layout, name="new_node")
        empty = old.count == 0
        m.d.comb += [
            first_node.eq(insert.token * config.layer.top_k), own_node.eq(first_node + insert.rank),
            old.eq(Array(head_of(insert.batch, lane).as_value() for lane in lanes)[insert.lane]),
            insert.twice.eq(write & ~empty & (old.node >= first_node)),
            new_head.count.eq(old.count + 1), new_head.node.eq(own_node),
            new_node.token.eq(insert.token), new_node.following.eq(old.node), new_node.last.eq(empty),
        ]
        if not params.timing_only:
            m.d.comb += [new_node.weight.eq(insert.weight), new_node.exponent.eq(insert.exponent)]

        # Counts: an expert has as many passes as its longest list has tokens.
        counts, counted = self.counts, Signal(name="counted_batch")
        with m.If(counts.read):
            m.d.sync += counted.eq(counts.batch)
        m.d.comb += counts.passes.eq(reduce(lambda most, more: Mux(more > most, more, most),
                                            [head_of(counted, lane).count for lane in lanes]))

        # Look-up: heads, first nodes, and a node further with each ``advance``.
        look_up = self.look_up
        walked = Signal(name="walked_batch")
        found = Signal()
        m.d.sync += found.eq(look_up.find)
        with m.If(look_up.find):
            m.d.sync += walked.eq(look_up.batch)
        valid = Signal(len(lanes))
        goes_on = Signal(len(lanes))
        for lane in lanes:
            node = data.View(params.node_layout, of_batch(walked, [nodes[b, lane].rdata for b in batches]))
            entry = look_up.entry[lane]
            m.d.comb += [entry.valid.eq(valid[lane]), goes_on[lane].eq(valid[lane] & ~node.last)]
            with m.If(valid[lane]):
                m.d.comb += entry.token.eq(node.token)
                if not params.timing_only:
                    m.d.comb += [entry.weight.eq(node.weight), entry.exponent.eq(node.exponent)]
        m.d.comb += look_up.more.eq(goes_on.any())
        with m.If(found):
            m.d.sync += valid.eq(Cat(head_of(walked, lane).count != 0 for lane in lanes))
        with m.Elif(look_up.advance):
            m.d.sync += valid.eq(goes_on)

        for batch in batches:
            sweeping = Signal(name=f"sweeping_{batch}", init=1)
            swept_expert = Signal(params.expert_bits, name=f"swept_expert_{batch}")
            m.d.comb += self.swept[batch].eq(~sweeping)
            m.d.sync += swept_expert.eq(Mux(sweeping, swept_expert + 1, 0))
            with m.If(self.sweep[batch]):
                m.d.sync += sweeping.eq(1)
            with m.Elif(swept_expert == config.layer.experts - 1):
                m.d.sync += sweeping.eq(0)
            looking = insert.look & is_batch(insert.batch, batch, self.batches)
            writing = write & is_batch(insert.batch, batch, self.batches)
            counting = counts.read & is_batch(counts.batch, batch, self.batches)
            finding = look_up.find & is_batch(look_up.batch, batch, self.batches)
            walking = (found | look_up.advance) & is_batch(walked, batch, self.batches)
            for lane in lanes:
                head, sram = heads[batch, lane], nodes[batch, lane]
                here = insert.lane == lane
                # what is looked up is known last, and decides nothing of what is written
                inserts = here & writing & ~insert.twice
                writes = sweeping | inserts
                m.d.comb += [
                    head.en.eq(writes | counting | finding | (here & looking)), head.we.eq(writes),
                    head.wdata.eq(Mux(sweeping, 0, new_head.as_value())),
                    # whether something is put in, or looked up, is known late in the cycle: that chooses no address
                    head.addr.eq(Mux(sweeping, swept_expert, Mux(~self.listed[batch], insert.expert,
                                                                 Mux(counting, counts.expert, look_up.expert)))),
                    sram.en.eq(walking | inserts), sram.we.eq(inserts), sram.wdata.eq(new_node.as_value()),
                    sram.addr.eq(Mux(writing, own_node, Mux(found, data.View(params.list_head_layout, head.rdata).node,
                                                            data.View(params.node_layout, sram.rdata).following))),
                ]
        return m
