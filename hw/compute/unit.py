"""The compute unit: everything that happens to a slice and its tokens."""

from amaranth.hdl import Array, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.compute.hidden_buffer import HiddenBuffer
from trajectile.hw.compute.lane_memory import LaneMemory
from trajectile.hw.compute.mac_array import MacArray
from trajectile.hw.compute.sequencer import MacSequencer
from trajectile.hw.compute.swiglu import SwigluLane
from trajectile.hw.host.layouts import Table, TableLayouts
from trajectile.hw.host.tables import ResultBus, TableBus
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.divide import quotient
from trajectile.hw.memory.expert_buffer import SlotRead
from trajectile.hw.memory.word import flag_members, show_flags
from trajectile.hw.rules.ports import ComputePort


class ComputeUnit(Block):
    """Sequencer, MAC array, and for each token lane its memory, SwiGLU unit and hidden buffer.

    A word addressed in cycle i comes from the slot in i+1, is in the operand registers in i+2, is a dot product in i+3, and
    is in the sums in i+4. From there gate-up sums go through SwiGLU into the hidden buffer, and down sums into the results.

    Latency: ``start`` in cycle c, first word in c+3 (``latency_cycles`` = 3), the last result written ``drain_cycles`` = 6
    after the last word; between them docs/architecture.md, "Compute time". The host's read of a result is answered after
    ``read_cycles`` = 2. Throughput: one weight word per cycle. With ``timing_only`` there is only the sequencer.
    """

    latency_cycles = MacSequencer.latency_cycles
    drain_cycles = MacSequencer.drain_cycles
    read_cycles = LaneMemory.latency_cycles + 1

    table: TableBus.Interface
    results: ResultBus.Interface
    clear: Signal
    token_shift: Signal
    compute: ComputePort.Interface
    busy: Signal
    issuing: Signal
    bad_entry: Signal
    weights: SlotRead.Interface
    corrected: Signal
    error: Signal

    def __init__(self, params: TableLayouts):
        self.params = params
        super().__init__({
            "table": In(TableBus(params)),  #: host writes of RULES, TOKENS, ACTIVATIONS
            "results": In(ResultBus(params)),  #: host reads of RESULTS
            "clear": In(1),  #: a batch begins
            "token_shift": In(6),  #: shift of the last requantisation
            "compute": In(ComputePort(params)),  #: rule 2
            "busy": Out(1),  #: from the cycle after ``start`` until the last result is written
            "issuing": Out(1),  #: a word is addressed (for the counter)
            "bad_entry": Out(1),  #: a table entry that was just used is not legal
            **({} if params.timing_only else {"weights": Out(SlotRead(params))}),  #: from the expert buffer
            **flag_members(params.protect),  #: of activations and results
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
        params = self.params
        array = MacArray(params)
        place(m, platform, mac_array=array)

        def delayed(value: Value, cycles: int, name: str) -> Value:
            for cycle in range(1, cycles + 1):
                register = Signal(value.shape(), name=f"{name}_{cycle}")
                m.d.sync += register.eq(value)
                value = register
            return value

        down_1 = delayed(sequencer.down, 1, "down")
        half_1 = delayed(sequencer.half, 1, "half")
        chunk_1 = delayed(sequencer.chunk, 1, "chunk")
        grouped_4 = delayed(sequencer.issue & ~sequencer.down & sequencer.last, 4, "grouped")
        half_4 = delayed(half_1, 3, "half_late")
        m.d.comb += [
            array.enable.eq(delayed(sequencer.issue, 1, "issue")),
            array.first.eq(delayed(sequencer.first, 1, "first")),
            array.weights.eq(self.weights.data),
            self.weights.en.eq(sequencer.issue), self.weights.slot.eq(sequencer.slot), self.weights.addr.eq(sequencer.word),
        ]
        reads = self.results.read & (self.table.table == Table.RESULTS)
        # A token has ``rows`` words in each of the two banks of results; with an odd number of groups one of them is a pad.
        rows, row = params.result_stride // 2, Signal(range(max(params.result_depth // 2, 2)), name="host_row")
        host_token = Signal(params.token_bits)
        m.d.comb += [row.eq(self.table.index >> 1), host_token.eq(quotient(row, rows))]
        odd = params.config.down_groups % 2
        host_pad = self.table.index[0] & (row - host_token * rows == rows - 1) if odd else Const(0)
        memories = []
        for lane in range(params.config.tile.mac_t):
            memory, swiglu, hidden = LaneMemory(params), SwigluLane(params), HiddenBuffer(params)
            place(m, platform, {f"lane_memory_{lane}": memory, f"swiglu_{lane}": swiglu, f"hidden_{lane}": hidden})
            here = self.table.lane == lane
            passes = [sequencer.passes[half][lane] for half in range(2)]
            valid = Mux(sequencer.half, passes[1].valid, passes[0].valid)
            m.d.comb += [
                memory.clear.eq(self.clear),
                memory.token.eq(Mux(sequencer.half, passes[1].token, passes[0].token)),
                memory.read.eq(sequencer.issue & ~sequencer.down & valid), memory.chunk.eq(sequencer.chunk),
                memory.add.eq(sequencer.issue & sequencer.down & sequencer.last & valid),
                memory.group_index.eq(sequencer.group_index), memory.finish.eq(sequencer.finish),
                memory.totals.eq(array.totals[lane]),
                memory.host_index.eq(self.table.index), memory.host_data.eq(self.table.write_data),
                memory.host_write.eq(self.table.write & (self.table.table == Table.ACTIVATIONS) & here),
                memory.host_read.eq(reads & here), memory.host_token.eq(host_token), memory.host_pad.eq(host_pad),
                swiglu.load.eq(grouped_4), swiglu.totals.eq(array.totals[lane]), swiglu.half.eq(half_4),
                swiglu.token_shift.eq(self.token_shift),
                *(swiglu.token_mult[half].eq(passes[half].mult) for half in range(2)),
                swiglu.gate_mult.eq(sequencer.scales.gate_mult), swiglu.gate_shift.eq(sequencer.scales.gate_shift),
                swiglu.up_mult.eq(sequencer.scales.up_mult), swiglu.up_shift.eq(sequencer.scales.up_shift),
                hidden.clear.eq(self.clear), hidden.write.eq(swiglu.valid), hidden.value.eq(swiglu.value),
                hidden.half.eq(half_1), hidden.chunk.eq(chunk_1),
                array.activations[lane].eq(Mux(down_1, hidden.values, memory.activations)),
            ]
            memories.append(memory)
        show_flags(m, self, params.protect, memories)
        # The host's answer comes two cycles after its read.
        lane_1 = delayed(self.table.lane, 1, "lane")
        answer = Signal.like(self.results.data, reset_less=True)
        m.d.sync += answer.eq(Array(memory.results for memory in memories)[lane_1])
        m.d.comb += self.results.data.eq(answer)
