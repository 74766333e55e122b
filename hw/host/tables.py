"""The buses on which the host port writes the table memories and reads results."""

from amaranth.hdl import Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from trajectile.hw.host.layouts import Table, TableLayouts
from trajectile.hw.lib.signature import NamedSignature
from trajectile.hw.widths import Widths


class TableBus(NamedSignature):
    """Writes from the host port to the table memories; each looks at its own only. Used only while no batch runs.

    A write takes the cycle of its strobe.
    """

    class Interface(wiring.PureInterface):
        table: enum.EnumView
        lane: Signal
        index: Signal
        write: Signal
        write_data: Signal

    def __init__(self, params: TableLayouts):
        super().__init__({
            "table": Out(Table),  #: which memory
            "lane": Out(params.lane_bits),  #: which lane's bank (ACTIVATIONS, RESULTS, CLIPS)
            "index": Out(params.table_index_bits),  #: which entry
            "write": Out(1),  #: write ``write_data`` in this cycle
            "write_data": Out(params.table_write_bits),  #: entry, in the low bits
        })


class ResultBus(NamedSignature):
    """Reads of RESULTS and CLIPS, at ``lane`` and ``index`` of the :class:`TableBus`. Used only while no batch runs."""

    class Interface(wiring.PureInterface):
        read: Signal
        data: Signal

    def __init__(self, params: Widths):
        super().__init__({
            "read": Out(1),  #: read an entry; only while the bus names RESULTS or CLIPS
            "data": In(params.result_bits),  #: the entry, in the low bits, two cycles later; it holds
        })
