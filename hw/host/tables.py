"""The bus on which the host port writes the table memories and reads results."""

from amaranth.hdl import Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from trajectile.hw.lib.signature import NamedSignature
from trajectile.hw.params import Params, Table


class TableBus(NamedSignature):
    """Write and read strobes from the host port to the table memories. Used only while no batch runs.

    A write takes the cycle of its strobe. A read gives ``read_data`` two cycles after ``read``; it holds.
    """

    class Interface(wiring.PureInterface):
        table: enum.EnumView
        lane: Signal
        index: Signal
        write: Signal
        write_data: Signal
        read: Signal
        read_data: Signal

    def __init__(self, params: Params):
        super().__init__({
            "table": Out(Table),  #: which memory
            "lane": Out(params.lane_bits),  #: which lane's bank (ACTIVATIONS, RESULTS)
            "index": Out(params.table_index_bits),  #: which entry
            "write": Out(1),  #: write ``write_data`` in this cycle
            "write_data": Out(params.table_write_bits),  #: entry, in the low bits
            "read": Out(1),  #: read an entry of RESULTS
            "read_data": In(params.result_bits),  #: the entry, two cycles later
        })
