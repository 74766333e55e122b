"""The compute unit: everything that happens to a slice and its tokens."""

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.compute.bias import GroupBias
from trajectile.hw.compute.hidden_buffer import HiddenBuffer
from trajectile.hw.compute.lane_memory import LaneMemory
from trajectile.hw.compute.mac_array import MacArray
from trajectile.hw.compute.sequencer import MacSequencer
from trajectile.hw.compute.swiglu import SwigluLane
from trajectile.hw.formats import PARAMETERS
from trajectile.hw.host.layouts import Table, TableLayouts
from trajectile.hw.host.tables import ResultBus, TableBus
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.chain import chain
from trajectile.hw.lib.divide import quotient
from trajectile.hw.lib.struct_signal import struct_signal
from trajectile.hw.memory.expert_buffer import ExpertBuffer, SlotRead
from trajectile.hw.memory.word import flag_members, show_flags
from trajectile.hw.rules.ports import ComputePort


class ComputeUnit(Block):
    """Sequencer, MAC array, and for each token lane its memory, SwiGLU unit and hidden buffer.

    A word addressed in cycle i comes from the slot in i+1, and is in the sums in i+5. From there gate-up sums go through
    SwiGLU into the hidden buffer, and down sums into the results. Parameters, and biases, are taken from the slot in i+1.

    Latency: ``start`` in cycle c, first word in c+3 (``latency_cycles`` = 3), the last result and count of clips written
    ``drain_cycles`` = 14 after the last word; between them docs/architecture.md, "Compute time". The host's read of a result
    is answered after ``read_cycles`` = 2. Throughput: one word per cycle. Storage: the slice's parameters.
    With ``timing_only`` there is only the sequencer.
    """

    latency_cycles = MacSequencer.latency_cycles
    drain_cycles = MacSequencer.drain_cycles
    read_cycles = LaneMemory.latency_cycles + 1

    table: TableBus.Interface
    results: ResultBus.Interface
    clear: Signal
    compute: ComputePort.Interface
    busy: Signal
    issuing: Signal
    bad_entry: Signal
    clipping: Signal
    weights: SlotRead.Interface
    corrected: Signal
    error: Signal

    def __init__(self, params: TableLayouts):
        self.params = params
        super().__init__({
            "table": In(TableBus(params)),  #: host writes of RULES, TOKENS, ACTIVATIONS
            "results": In(ResultBus(params)),  #: host reads of RESULTS and CLIPS
            "clear": In(1),  #: a batch begins
            "compute": In(ComputePort(params)),  #: rule 2
            "busy": Out(1),  #: from the cycle after ``start`` until the last result is written
            "issuing": Out(1),  #: a word is addressed (for the counter)
            "bad_entry": Out(1),  #: a table entry that was just used is not legal
            "clipping": Out(1),  #: a gate-up pair or a group of results is clipped (for the counter)
            **({} if params.timing_only else {"weights": Out(SlotRead(params))}),  #: from the expert buffer
            **flag_members(params.protect),  #: of activations, results and clips
        })

    def elaborate(self, platform: object) -> Module:
        """Wire the blocks; control bits go along with the data."""
        m = Module()
        sequencer = MacSequencer(self.params)
        place(m, platform, sequencer=sequencer)
        connect(m, flipped(self.table), sequencer.table)
        connect(m, flipped(self.compute), sequencer.compute)
        m.d.comb += [
            sequencer.clear.eq(self.clear),
            self.busy.eq(sequencer.busy), self.issuing.eq(sequencer.issue), self.bad_entry.eq(sequencer.bad_entry),
        ]
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
        down_1 = delayed(sequencer.down, 1, "down")
        sums = ExpertBuffer.latency_cycles + array.latency_cycles  # from a word's address to its sums
        grouped = delayed(sequencer.issue & ~sequencer.down & sequencer.last, sums, "grouped")
        half_late = delayed(sequencer.half, sums, "half")
        m.d.comb += [
            array.enable.eq(delayed(weighs, 1, "weighs")),
            array.first.eq(delayed(sequencer.first, 1, "first")),
            array.weights.eq(self.weights.data),
            self.weights.en.eq(sequencer.issue), self.weights.slot.eq(sequencer.slot), self.weights.addr.eq(sequencer.word),
        ]
        parameters = self._parameters(m, sequencer)
        biases = None
        if config.layer.bias:
            biases = GroupBias(params)
            place(m, platform, group_bias=biases)
            m.d.comb += [biases.capture.eq(delayed(sequencer.issue & sequencer.bias, 1, "bias")),
                         biases.word.eq(self.weights.data), biases.load.eq(grouped)]
        # Half of the pair that leaves SwiGLU.
        loaded_half = Signal()
        with m.If(grouped):
            m.d.sync += loaded_half.eq(half_late)
        pair_half = delayed(loaded_half, SwigluLane.latency_cycles - 1, "pair_half")

        reads = self.results.read & (self.table.table == Table.RESULTS)
        of_clips = self.table.table == Table.CLIPS
        reads_clips = self.results.read & of_clips
        # A token has ``rows`` words in each of the two banks of results; with an odd number of groups one of them is a pad.
        rows, row = params.result_stride // 2, Signal(range(max(params.result_depth // 2, 2)), name="host_row")
        result_token = Signal(params.token_bits)
        host_token = Signal(params.token_bits)
        # ``read`` comes late in its cycle; whose entry it is stands long before, and is not chosen by it.
        m.d.comb += [row.eq(self.table.index >> 1), result_token.eq(quotient(row, rows)),
                     host_token.eq(Mux(of_clips, self.table.index, result_token))]
        odd = config.down_groups % 2
        host_pad = self.table.index[0] & (row - result_token * rows == rows - 1) if odd else Const(0)
        memories = []
        for lane in range(config.tile.mac_t):
            memory, swiglu, hidden = LaneMemory(params), SwigluLane(params), HiddenBuffer(params)
            place(m, platform, {f"lane_memory_{lane}": memory, f"swiglu_{lane}": swiglu, f"hidden_{lane}": hidden})
            here = self.table.lane == lane
            passes = [sequencer.passes[half][lane] for half in range(2)]
            valid = Mux(sequencer.half, passes[1].valid, passes[0].valid)
            m.d.comb += [
                memory.clear.eq(self.clear),
                memory.token.eq(Mux(sequencer.half, passes[1].token, passes[0].token)),
                memory.read.eq(weighs & ~sequencer.down & valid), memory.chunk.eq(sequencer.chunk),
                memory.add.eq(sequencer.issue & sequencer.down & sequencer.last & valid),
                memory.group_index.eq(sequencer.group_index), memory.finish.eq(sequencer.finish),
                memory.half.eq(sequencer.half), memory.result_shift.eq(parameters.result_shift),
                memory.pass_exponent.eq(hidden.pass_exponent),
                memory.totals.eq(array.totals[lane]),
                memory.pair_clipped.eq(swiglu.valid & swiglu.clipped & Mux(pair_half, passes[1].valid, passes[0].valid)),
                memory.pair_half.eq(pair_half),
                memory.host_index.eq(self.table.index), memory.host_data.eq(self.table.write_data),
                memory.host_write.eq(self.table.write & (self.table.table == Table.ACTIVATIONS) & here),
                memory.host_read.eq(reads & here), memory.host_clips.eq(reads_clips & here),
                memory.host_token.eq(host_token), memory.host_pad.eq(host_pad),
                swiglu.load.eq(grouped), swiglu.totals.eq(array.totals[lane]), swiglu.half.eq(half_late),
                swiglu.parameters.eq(parameters),
                *(swiglu.exponent[half].eq(passes[half].exponent) for half in range(2)),
                *(swiglu.weight[half].eq(passes[half].weight) for half in range(2)),
                hidden.clear.eq(self.clear), hidden.write.eq(swiglu.valid), hidden.value.eq(swiglu.value),
                hidden.half.eq(sequencer.half), hidden.chunk.eq(sequencer.chunk),
                array.activations[lane].eq(Mux(down_1, hidden.values.as_value(), memory.activations)),
            ]
            if biases is not None:
                m.d.comb += [swiglu.gate_bias.eq(biases.gate_bias), swiglu.up_bias.eq(biases.up_bias)]
            memories.append(memory)
        m.d.comb += self.clipping.eq(Cat(memory.clipping for memory in memories).any())
        show_flags(m, self, params.protect, memories)
        # The host's answer comes two cycles after its read.
        lane_1, clips_1 = delayed(self.table.lane, 1, "lane"), delayed(reads_clips, 1, "clips")
        answer = Signal.like(self.results.data, reset_less=True)
        m.d.sync += answer.eq(Mux(clips_1, Array(memory.clips for memory in memories)[lane_1],
                                  Array(memory.results for memory in memories)[lane_1]))
        m.d.comb += self.results.data.eq(answer)

    def _parameters(self, m: Module, sequencer: MacSequencer) -> data.View:
        """What the slice began with; it changes two cycles after the last word of the slice before, or later."""
        params, words = self.params, self.params.config.parameter_words
        parameters = struct_signal(PARAMETERS, name="parameters", reset_less=True)
        comes = Signal(name="parameters_come")
        m.d.sync += comes.eq(sequencer.issue & sequencer.param)
        number = Signal(range(max(words, 2)), name="parameter_word")
        m.d.sync += number.eq(sequencer.word)
        bits = parameters.as_value()
        for word in range(words):
            low = word * params.word_bits
            with m.If(comes & (number == word)):
                m.d.sync += bits[low:low + params.word_bits].eq(self.weights.data)
        return parameters
