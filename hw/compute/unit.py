"""The compute unit: everything that happens to a slice and its tokens."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.batch.ports import FillPort, LookUpPort, PutPort, ReadPort
from trajectile.hw.compute.bias import GroupBias
from trajectile.hw.compute.hidden_buffer import HiddenBuffer
from trajectile.hw.compute.lane_memory import LaneMemory, drain_cycles
from trajectile.hw.compute.mac_array import MacArray
from trajectile.hw.compute.sequencer import MacSequencer, setup_cycles
from trajectile.hw.compute.swiglu import SwigluLane
from trajectile.hw.formats import EXPONENT_BITS, PARAMETERS
from trajectile.hw.lib.batches import is_batch
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.chain import chain
from trajectile.hw.lib.struct_signal import struct_signal
from trajectile.hw.memory.expert_buffer import SlotRead, word_cycles
from trajectile.hw.memory.word import encoded, flag_members, show_flags
from trajectile.hw.rules.ports import ComputePort


class ComputeUnit(Block):
    """Sequencer, MAC array, and for each token lane its memory, SwiGLU unit and hidden buffer.

    A word addressed in cycle i comes from the slot in i+1, and is in the sums in i+5. If slots are registered, it comes a
    cycle later, as activations do then, and if operands or products are, sums are there a cycle later each. From there
    gate-up sums go through SwiGLU into the hidden buffer, and down sums into the results. Parameters, and biases, are taken
    as they come from the slot.

    Tokens of up to ``tile.batches`` batches are here. While slices of one meet its tokens, activations of the other are
    filled in and results of the other read out; nobody does that with a batch that is computed. Where tokens travel, the
    sums of all tiles are put in the place of results that were read.

    Latency: ``start`` in cycle c, first word as in :class:`MacSequencer` (``latency_cycles``), the last result and count of
    clips written ``drain_cycles`` after the last word: 14, and one more each if operands, products, or slots are registered;
    between them docs/architecture.md, "Compute time". Results and clips that are read come after ``read_cycles`` = 1;
    activations and sums are there a cycle after they are filled in or put (``fill_cycles`` = 1). Throughput: one word, one
    fill, one read, and one put per bank and cycle. Storage: the slice's parameters, the unit of each batch's results. With
    ``timing_only`` there is only the sequencer.
    """

    read_cycles = LaneMemory.latency_cycles
    fill_cycles = 1

    clear: Signal
    compute: ComputePort.Interface
    look_up: LookUpPort.Interface
    busy: Signal
    issuing: Signal
    clipping: Signal
    weights: SlotRead.Interface
    computes: Signal
    filled: Signal
    fill: FillPort.Interface
    read: ReadPort.Interface
    put: PutPort.Interface
    unit: data.View
    corrected: Signal
    error: Signal

    def __init__(self, params: BatchLayouts):
        self.params = params
        self.latency_cycles = setup_cycles(params.config.tile)
        self.drain_cycles = drain_cycles(params.config.tile)
        batches = params.config.tile.batches
        super().__init__({
            "clear": In(batches),  #: forget results, clips and unit of these batches; nobody may compute or read them
            "compute": In(ComputePort(params)),  #: rule 2
            "look_up": Out(LookUpPort(params)),  #: token lists of the slice's expert
            "busy": Out(batches),  #: by batch: from the cycle after ``start`` until the last result is written
            "issuing": Out(1),  #: a word is addressed (for the counter)
            "clipping": Out(1),  #: a gate-up pair or a group of results is clipped (for the counter)
            **({} if params.timing_only else {
                "weights": Out(SlotRead(params)),  #: from the expert buffer
                "computes": Out(1),  #: the slot of ``weights`` is read, in this cycle or later
                "filled": In(batches),  #: by batch: all its activations are in; they are read from then on
                "fill": In(FillPort(params)),  #: activations, as records bring them
                "read": In(ReadPort(params)),  #: results and clips of a batch that is not computed any more
                **({
                    "put": In(PutPort(params)),  #: sums of all tiles, of a batch that is not computed any more
                } if params.config.array.shares else {}),
                "unit": Out(data.ArrayLayout(signed(EXPONENT_BITS), batches)),  #: of its results, 0 if there was no slice
            }),
            **flag_members(params.protect),  #: of activations, results and clips
        })

    def elaborate(self, platform: object) -> Module:
        """Wire the blocks; control bits go along with the data."""
        m = Module()
        sequencer = MacSequencer(self.params)
        place(m, platform, sequencer=sequencer)
        connect(m, flipped(self.compute), sequencer.compute)
        connect(m, sequencer.look_up, flipped(self.look_up))
        m.d.comb += [self.busy.eq(sequencer.busy), self.issuing.eq(sequencer.issue)]
        if not self.params.timing_only:
            self._lanes(m, platform, sequencer)
        return m

    def _lanes(self, m: Module, platform: object, sequencer: MacSequencer) -> None:
        """The data path. A suffix ``_1`` means: one cycle after the word was addressed."""
        params, config = self.params, self.params.config
        array = MacArray(params)
        place(m, platform, mac_array=array)

        def delayed(value: Value, cycles: int, name: str) -> Any:
            return chain(m, name, value, range(1, cycles + 1), reset_less=False)[-1]

        weighs = sequencer.issue & ~sequencer.param & ~sequencer.bias
        # Gate and up never wait: what is read for them does not ask whether the word is addressed.
        reads = sequencer.active & ~sequencer.down & ~sequencer.param & ~sequencer.bias
        down_1 = delayed(sequencer.down, 1, "down")
        word = word_cycles(config.tile)  # from a word's address to the word
        sums = word + array.latency_cycles  # to its sums
        grouped = delayed(sequencer.issue & ~sequencer.down & sequencer.last, sums, "grouped")
        half_late = delayed(sequencer.half, sums, "half")
        m.d.comb += [
            array.enable.eq(delayed(weighs, word, "weighs")),
            array.first.eq(delayed(sequencer.first, word, "first")),
            array.weights.eq(self.weights.data),
            self.computes.eq(sequencer.active),
            self.weights.en.eq(sequencer.issue), self.weights.slot.eq(sequencer.slot), self.weights.addr.eq(sequencer.word),
        ]
        parameters = self._parameters(m, sequencer)
        biases = None
        if config.layer.bias:
            biases = GroupBias(params)
            place(m, platform, group_bias=biases)
            m.d.comb += [biases.capture.eq(delayed(sequencer.issue & sequencer.bias, word, "bias")),
                         biases.word.eq(self.weights.data), biases.load.eq(grouped)]
        # Half of the pair that leaves SwiGLU.
        loaded_half = Signal()
        with m.If(grouped):
            m.d.sync += loaded_half.eq(half_late)
        pair_half = delayed(loaded_half, SwigluLane.latency_cycles - 1, "pair_half")

        # Where results are read from, for all lanes.
        fill, read, rows = self.fill, self.read, params.result_stride // 2
        read_row = Signal(range(max(params.result_depth // 2, 2)))
        m.d.comb += read_row.eq(read.token * rows + (read.group_index >> 1))
        memories = []
        for lane in range(config.tile.mac_t):
            memory, swiglu, hidden = LaneMemory(params), SwigluLane(params), HiddenBuffer(params)
            place(m, platform, {f"lane_memory_{lane}": memory, f"swiglu_{lane}": swiglu, f"hidden_{lane}": hidden})
            is_meant = read.lane == lane
            is_read = read.read & is_meant
            passes = [sequencer.passes[half][lane] for half in range(2)]
            valid = Mux(sequencer.half, passes[1].valid, passes[0].valid)
            m.d.comb += [
                memory.clear.eq(self.clear), memory.batch.eq(sequencer.batch),
                memory.token.eq(Mux(sequencer.half, passes[1].token, passes[0].token)),
                memory.read.eq(reads & valid), memory.chunk.eq(sequencer.chunk),
                memory.add.eq(sequencer.issue & sequencer.down & sequencer.last & valid),
                memory.group_index.eq(sequencer.group_index), memory.finish.eq(sequencer.finish),
                memory.half.eq(sequencer.half), memory.result_shift.eq(parameters.result_shift),
                memory.pass_exponent.eq(hidden.pass_exponent),
                memory.totals.eq(array.totals[lane]),
                memory.pair_clipped.eq(swiglu.valid & swiglu.clipped & Mux(pair_half, passes[1].valid, passes[0].valid)),
                memory.pair_half.eq(pair_half),
                memory.filled.eq(self.filled),
                memory.fill.eq(fill.write & (fill.lane == lane)), memory.fill_batch.eq(fill.batch),
                memory.fill_index.eq(fill.index), memory.fill_word.eq(fill.word.as_value()),
                memory.read_results.eq(is_read & ~read.of_clips), memory.read_clips.eq(is_read & read.of_clips),
                memory.read_other.eq(read.read & ~is_meant),
                memory.read_early.eq((read.early if config.array.shares else read.read) & is_meant),
                memory.read_batch.eq(read.batch), memory.read_token.eq(read.token), memory.read_row.eq(read_row),
                memory.read_bank.eq(read.group_index[0]),
                swiglu.load.eq(grouped), swiglu.totals.eq(array.totals[lane]), swiglu.half.eq(half_late),
                swiglu.parameters.eq(parameters),
                *(swiglu.exponent[half].eq(passes[half].exponent) for half in range(2)),
                *(swiglu.weight[half].eq(passes[half].weight) for half in range(2)),
                hidden.write.eq(swiglu.valid), hidden.value.eq(swiglu.value),
                hidden.half.eq(sequencer.half), hidden.chunk.eq(sequencer.chunk),
            ]
            # Both are there a cycle after the word was addressed. The word may come later.
            activations = Mux(down_1, hidden.values.as_value(), memory.activations)
            m.d.comb += array.activations[lane].eq(chain(m, f"activations_{lane}", activations, range(1, word))[-1])
            if biases is not None:
                m.d.comb += [swiglu.gate_bias.eq(biases.gate_bias), swiglu.up_bias.eq(biases.up_bias)]
            memories.append(memory)
        if config.array.shares:
            self._put(m, platform, memories)
        m.d.comb += self.clipping.eq(Cat(memory.clipping for memory in memories).any())
        show_flags(m, self, params.protect, memories)
        # All show zero but the one that was read.
        m.d.comb += [read.results.eq(reduce(or_, (memory.results for memory in memories))),
                     read.clips.eq(reduce(or_, (memory.clips for memory in memories)))]

    def _put(self, m: Module, platform: object, memories: Sequence[LaneMemory]) -> None:
        """Sums, each to its place in the memory of its lane."""
        params, put, protect = self.params, self.put, self.params.protect
        even = encoded(m, platform, protect, put.words.even, "even_encoder")
        odd = encoded(m, platform, protect, put.words.odd, "odd_encoder")
        clips = encoded(m, platform, protect, put.words.clips, "clips_encoder")
        rows = [Signal(range(max(params.result_depth // 2, 2)), name=f"put_row_{bank}") for bank in range(2)]
        for bank, row in enumerate(rows):
            m.d.comb += row.eq(put.places[bank].token * (params.result_stride // 2) + put.row[bank])
        for lane, memory in enumerate(memories):
            m.d.comb += [
                memory.read_written.eq(self.read.written),
                memory.put.eq(Cat(put.write[bank] & (put.places[bank].lane == lane) for bank in range(3))),
                memory.put_batch.eq(put.batch), memory.put_token.eq(put.places[2].token), memory.put_clips.eq(clips),
                memory.put_rows[0].eq(rows[0]), memory.put_rows[1].eq(rows[1]),
                memory.put_results[0].eq(even), memory.put_results[1].eq(odd),
            ]

    def _parameters(self, m: Module, sequencer: MacSequencer) -> data.View:
        """What the slice began with; it changes two cycles after the last word of the slice before, or later."""
        params, words, batches = self.params, self.params.config.parameter_words, self.params.config.tile.batches
        parameters = struct_signal(PARAMETERS, name="parameters", reset_less=True)
        comes = Signal(name="parameters_come")
        number = Signal(range(max(words, 2)), name="parameter_word")
        before = range(1, word_cycles(params.config.tile))
        m.d.sync += [
            comes.eq(chain(m, "param", sequencer.issue & sequencer.param, before, reset_less=False)[-1]),
            number.eq(chain(m, "param_word", sequencer.word, before)[-1]),
        ]
        bits = parameters.as_value()
        for word in range(words):
            low = word * params.word_bits
            with m.If(comes & (number == word)):
                m.d.sync += bits[low:low + params.word_bits].eq(self.weights.data)
        # Results have the unit of whichever slice was last, as all slices of a layer have one.
        came, batch_1 = Signal(name="parameters_came"), Signal(name="parameter_batch")
        m.d.sync += [came.eq(comes), batch_1.eq(sequencer.batch)]
        for batch in range(batches):
            with m.If(self.clear[batch]):
                m.d.sync += self.unit[batch].eq(0)
            with m.Elif(came & is_batch(batch_1, batch, batches)):
                m.d.sync += self.unit[batch].eq(parameters.unit)
            if params.config.array.shares:
                put, known = self.put, self.put.known[batch]
                with m.If(self.clear[batch]):
                    m.d.sync += known.eq(0)
                with m.Elif(came & is_batch(batch_1, batch, batches)):
                    m.d.sync += known.eq(1)
                with m.Elif(put.adopt & is_batch(put.batch, batch, batches) & ~known):
                    m.d.sync += [self.unit[batch].eq(put.unit), known.eq(1)]
        return parameters
