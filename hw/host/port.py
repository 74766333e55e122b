"""The host port: AXI4-Lite, registers, counters, interrupt, and the window to the table memories."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.d2d.layouts import NEIGHBOURS
from trajectile.hw.host.access import AccessBus, AccessPort
from trajectile.hw.host.axi import HOST_DATA_BITS, AxiLite
from trajectile.hw.host.batch import BatchControl
from trajectile.hw.host.codes import ERRORS, Refusal
from trajectile.hw.host.layouts import TableLayouts
from trajectile.hw.host.ports import CountStrobes, ErrorStrobes, LinkStatus, Settings
from trajectile.hw.host.regmap import Access, Register, RegisterMap
from trajectile.hw.host.tables import ResultBus, TableBus
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.limits import exceeds

#: what a field holds or shows, by register and field name; a legal write of a register, by name
Fields = dict[tuple[str, str], Signal]
Written = dict[str, Signal]
#: why an access is refused, and when; the first that holds counts
Reasons = list[tuple[Value, Refusal]]


class HostPort(Block):
    """Registers, decoded from :class:`~trajectile.hw.host.regmap.RegisterMap`, behind one AXI4-Lite subordinate.

    Refused with SLVERR, and without effect, is what :class:`~trajectile.hw.host.codes.Refusal` lists; REFUSED says which
    access and why.
    START and every access to settings and tables need an idle tile: no batch, no failure, no reset.

    ``start``, ``halt_out`` and ``reset_out`` go off the tile and come back, to all tiles at once, as ``go``, ``halt`` and
    ``reset`` (:class:`~trajectile.hw.host.batch.BatchControl`). A reset leaves settings and tables as they are.

    Latency: a request (address and data) that is accepted in cycle c has its response in c+3 (``latency_cycles`` = 3), a read
    of TABLE_DATA in c+5 (``table_read_cycles`` = 5); up to 3 cycles later (``other_access_cycles`` = 3) if an access of the
    other channel is served first. A counter shows a strobe after ``counter_cycles`` = 2. Storage: the registers, one access
    each way, and all but the last word of the table entry being written.
    """

    latency_cycles = AccessPort.latency_cycles
    table_read_cycles = latency_cycles + 2
    other_access_cycles = 3
    counter_cycles = 2

    host: AxiLite.Interface
    table: TableBus.Interface
    results: ResultBus.Interface
    tile_id: Signal
    start: Signal
    go: Signal
    clear: Signal
    running: Signal
    finished: Signal
    errors: ErrorStrobes.Interface
    halt_out: Signal
    halt: Signal
    reset_out: Signal
    reset: Signal
    quiet: Signal
    irq: Signal
    settings: Settings.Interface
    counts: CountStrobes.Interface
    links: list[LinkStatus.Interface]

    def __init__(self, params: TableLayouts):
        self.params, self.config = params, params.config
        #: the registers and tables that it has
        self.map = RegisterMap(params)
        super().__init__({
            "host": In(AxiLite()),  #: from the host
            "table": Out(TableBus(params)),  #: writes to the table memories
            "results": Out(ResultBus(params)),  #: reads of results
            "tile_id": In(params.tile_bits),  #: strap: number of this tile
            "start": Out(1),  #: the host has written START: ask for ``go``
            "go": In(1),  #: start a batch; ignored while one runs
            "clear": Out(1),  #: a batch starts: its cycle 0 is the next cycle
            "running": Out(1),  #: a batch runs, from cycle 0 to the cycle that finished it
            "finished": In(1),  #: nothing is left to do; looked at while ``running``
            "errors": Out(ErrorStrobes()),  #: errors that other blocks report
            "halt_out": Out(1),  #: this tile fails: ask for ``halt``
            "halt": In(1),  #: a tile has failed: the batch ends here too
            "reset_out": Out(1),  #: ask for ``reset``
            "reset": In(1),  #: the array is in reset
            "quiet": In(1),  #: nothing is under way on the DDR port; looked at during ``reset``
            "irq": Out(1),  #: a cause that is enabled has occurred
            "settings": Out(Settings(params)),  #: what the host has set
            "counts": Out(CountStrobes(corrects=params.protect == "secded")),  #: what the counters count
            **({"links": Out(LinkStatus()).array(len(NEIGHBOURS))} if self.config.link.crc_bits else {}),  #: link layers
        })

    def elaborate(self, platform: object) -> Module:
        """Registers, their decoding, batch control, table window."""
        m = Module()
        access_port = AccessPort()
        place(m, platform, access_port=access_port)
        connect(m, flipped(self.host), access_port.host)
        access = access_port.access

        fields: Fields = {(register.name, field.name):
                  Signal(field.width, init=field.reset, name=f"{register.name}_{field.name}".lower())
                  for register in self.map.registers for field in register.fields
                  if register.access in (Access.RW, Access.RO, Access.W1C, Access.W0C)}
        written: Written = {register.name: Signal(name=f"write_{register.name.lower()}")
                   for register in self.map.registers if register.writable}
        batch = BatchControl(hold_cycles=self.params.reset_hold_cycles)
        place(m, platform, batch_control=batch)
        # Why the access of this cycle is refused.
        refusal = Signal(Refusal)
        window = self._table(m, access, fields, written, refusal)
        self._decode(m, access, fields, written, refusal, batch, window)
        for register in self.map.registers:
            if register.access is Access.RW:
                with m.If(written[register.name]):
                    m.d.sync += [fields[register.name, field.name].eq(_field(register, field.name, access.data))
                                 for field in register.fields]
        self._batch(m, batch, fields, written["CONTROL"], access.data)
        refused = Signal()
        m.d.comb += refused.eq((access.write | (access.read & ~access.wait) | access.done) & ~access.okay)
        with m.If(refused):
            m.d.sync += [
                fields["REFUSED", "CODE"].eq(refusal), fields["REFUSED", "WRITE"].eq(access.write),
                fields["REFUSED", "ADDRESS"].eq(access.address << 2),
            ]
        with m.Elif(written["REFUSED"]):
            m.d.sync += [fields["REFUSED", field.name].eq(0) for field in self.map["REFUSED"].fields]
        self._interrupt(m, fields, Mux(written["IRQ_STATUS"], access.data, 0),
                        {"DONE": batch.finish, "ERROR": batch.fail, "REFUSED": refused})

        m.d.comb += fields["TILE_ID", "VALUE"].eq(self.tile_id)
        for name, shown in self.settings.by_name.items():
            setting = self.map[name].fields[0]
            m.d.comb += shown.eq(fields[name, setting.name] << setting.low)
        routes = [signal for (name, _), signal in fields.items() if name.startswith("ROUTE_")]
        m.d.comb += Value.cast(self.settings.route).eq(Cat(routes))
        return m

    def _decode(self, m: Module, access: AccessBus.Interface, fields: Fields, written: Written, refusal: Signal,
                batch: BatchControl, window: tuple[Reasons, Reasons]) -> None:
        """Which register, what it reads, and whether the access is legal. ``window``: reasons to refuse TABLE_DATA.

        All reasons but whether the tile is idle are found in the cycle before the access. A read that waits for its value
        may be overtaken by a batch.
        """
        first = Signal(Refusal, init=Refusal.NO_REGISTER)
        needs_idle = Signal()
        last = Signal(Refusal)
        found = {name: Signal.like(value, name=f"found_{name}") for name, value in
                 (("first", first), ("needs_idle", needs_idle), ("last", last))}
        m.d.sync += [found["first"].eq(first), found["needs_idle"].eq(needs_idle), found["last"].eq(last)]
        m.d.comb += access.okay.eq(refusal == Refusal.NONE)
        with m.If(found["first"] != Refusal.NONE):
            m.d.comb += refusal.eq(found["first"])
        with m.Elif(found["needs_idle"] & (batch.refusal != Refusal.NONE)):
            m.d.comb += refusal.eq(batch.refusal)
        with m.Else():
            m.d.comb += refusal.eq(found["last"])

        def refuse(reasons: Reasons) -> None:
            """The first that holds."""
            busy = next(place for place, (_, code) in enumerate(reasons) if code is Refusal.BUSY)
            m.d.comb += needs_idle.eq(reasons[busy][0])
            for signal, some in ((first, reasons[:busy]), (last, reasons[busy + 1:])):
                for holds, code in reversed(some):
                    with m.If(holds):
                        m.d.comb += signal.eq(code)

        with m.Switch(access.address):
            for register in self.map.registers:
                with m.Case(register.offset * 8 // HOST_DATA_BITS):
                    m.d.comb += first.eq(Refusal.NONE)
                    if register.access is Access.WINDOW:
                        with m.If(access.writes):
                            refuse(window[0])
                        with m.Else():
                            refuse(window[1])
                    else:
                        for field in register.fields:
                            shown = fields.get((register.name, field.name), field.reset)
                            m.d.comb += _field(register, field.name, access.value).eq(shown)
                        with m.If(access.writes):
                            refuse(_write_reasons(register, access))
                    if register.writable:
                        m.d.comb += written[register.name].eq(access.write & access.okay)

    def _batch(self, m: Module, batch: BatchControl, fields: Fields, command: Signal, value: Value) -> None:
        """Start, run, finish or fail; counters, status. ``command``: CONTROL is written, with ``value``."""
        connect(m, flipped(self.errors), batch.errors)
        m.d.comb += [
            batch.go.eq(self.go), batch.finished.eq(self.finished), batch.halt.eq(self.halt), batch.reset.eq(self.reset),
            batch.quiet.eq(self.quiet), self.clear.eq(batch.clear), self.running.eq(batch.running),
            self.halt_out.eq(batch.halt_out), self.reset_out.eq(batch.reset_out),
            batch.start.eq(command & _field(self.map["CONTROL"], "START", value)), self.start.eq(batch.start),
            batch.ask_reset.eq(command & _field(self.map["CONTROL"], "RESET", value)),
            batch.cycles.eq(fields["CYCLES", "VALUE"]), batch.limit.eq(fields["WATCHDOG", "VALUE"]),
            fields["STATUS", "RUNNING"].eq(batch.busy),
            fields["STATUS", "DONE"].eq(batch.done), fields["STATUS", "OVERRUN"].eq(batch.overrun),
            fields["STATUS", "FAILED"].eq(batch.failed), fields["STATUS", "RESETTING"].eq(batch.resetting),
            *(fields["ERROR", name].eq(batch.error[number]) for number, (name, _) in enumerate(ERRORS)),
        ]
        strobes: dict[str, Value] = {"CYCLES": self.running}
        strobes |= {name: strobe & self.running for name, strobe in self.counts.by_name.items()}
        if self.params.protect == "secded":
            strobes["COUNT_CORRECTED"] = self.counts.corrected
        if self.config.link.crc_bits:
            strobes |= {f"LINK_{port.name}_{name}": strobe for port in NEIGHBOURS
                        for name, strobe in self.links[port.value].by_name.items()}
        for name, strobe in strobes.items():
            count = fields[name, "VALUE"]
            if name != "CYCLES":  # the watchdog looks at that one
                # Strobes come late in a cycle: they are counted in the next.
                counted = Signal(name=f"counted_{name.lower()}")
                m.d.sync += counted.eq(strobe & ~self.clear)
                strobe = counted
            with m.If(self.clear):
                m.d.sync += count.eq(0)
            with m.Elif(strobe):
                m.d.sync += count.eq(count + 1)
        if self.config.link.crc_bits:
            m.d.comb += Cat(fields["LINK_DOWN", port.name] for port in NEIGHBOURS).eq(Cat(link.down for link in self.links))

    def _interrupt(self, m: Module, fields: Fields, cleared: Value, occurs: dict[str, Value]) -> None:
        """Causes: set by what occurs, ``cleared`` by the host. One that occurs while the host clears it stays.

        A reset clears those that have to do with batches.
        """
        causes = []
        for name, strobe in occurs.items():
            cause = fields["IRQ_STATUS", name]
            with m.If(strobe):
                m.d.sync += cause.eq(1)
            with m.Elif(_field(self.map["IRQ_STATUS"], name, cleared) | (self.reset if name != "REFUSED" else 0)):
                m.d.sync += cause.eq(0)
            causes.append(cause & fields["IRQ_ENABLE", name])
        m.d.comb += self.irq.eq(Cat(causes).any())

    def _table(self, m: Module, access: AccessBus.Interface, fields: Fields, written: Written, refusal: Signal
               ) -> tuple[Reasons, Reasons]:
        """TABLE_DATA: collect the words of an entry and write it, or read an entry and choose one word.

        Returns why a write and why a read is refused.
        """
        tables = self.map.tables.values()
        lane, index = fields["TABLE_SELECT", "LANE"], fields["TABLE_INDEX", "VALUE"]
        word = Signal(range(max(table.words for table in tables)))
        last = Signal.like(word)
        exists = Signal()
        read_only = Signal()
        write_only = Signal()
        illegal = Signal()  # the entry, if this is its last word
        with m.Switch(fields["TABLE_SELECT", "TABLE"]):
            for table in tables:
                with m.Case(table.table):
                    m.d.comb += [
                        last.eq(table.words - 1), exists.eq(index < table.depth),
                        read_only.eq(table.read_only), write_only.eq(not table.read_only),
                    ]
                    if not table.read_only:
                        m.d.comb += illegal.eq(table.illegal(self.table.write_data))

        # The last word of an entry goes straight to the memory; those before it wait here.
        early = Array(Signal(HOST_DATA_BITS, name=f"table_word_{number}")
                      for number in range(max(table.words for table in tables if not table.read_only) - 1))
        write = Signal()
        reading = Signal()
        arrived = Signal()
        ends = word == last
        m.d.comb += [
            write.eq(written["TABLE_DATA"]),
            Value.cast(self.table.table).eq(fields["TABLE_SELECT", "TABLE"]),
            self.table.lane.eq(lane),
            self.table.index.eq(index),
            self.table.write.eq(write & ends),
            self.table.write_data.eq(Cat(*(Mux(word == number, access.data, held) for number, held in enumerate(early)),
                                         access.data)),
        ]
        if early:
            with m.If(write & ~ends):
                m.d.sync += early[word].eq(access.data)

        # Every word reads its entry anew: nothing that happens between two reads can make it stale.
        window = self.map["TABLE_DATA"].offset * 8 // HOST_DATA_BITS
        m.d.comb += [
            self.results.read.eq(access.read & (access.address == window) & (refusal == Refusal.NONE)),
            access.wait.eq(self.results.read),
            access.done.eq(arrived),
        ]
        m.d.sync += [reading.eq(self.results.read), arrived.eq(reading)]
        if any(table.read_only for table in tables):
            with m.If(access.address == window):
                m.d.comb += access.value.eq(self.results.data.word_select(word, HOST_DATA_BITS))

        with m.If(write | (arrived & access.okay)):
            m.d.sync += word.eq(Mux(ends, 0, word + 1))
            with m.If(ends):
                m.d.sync += index.eq(index + 1)
        with m.If(written["TABLE_SELECT"] | written["TABLE_INDEX"] | self.clear | self.reset):
            m.d.sync += word.eq(0)
        busy, missing = (Const(1), Refusal.BUSY), (~exists, Refusal.NO_ENTRY)
        return ([(read_only, Refusal.READ_ONLY), (~access.whole, Refusal.PARTIAL), busy, missing,
                 (ends & illegal, Refusal.ENTRY_VALUE)],
                [(write_only, Refusal.WRITE_ONLY), busy, missing])


def _write_reasons(register: Register, access: AccessBus.Interface) -> Reasons:
    """Why a write to a register may be refused; BUSY, whether the tile must be idle for it, is always among them."""
    if not register.writable:
        return [(Const(1), Refusal.READ_ONLY), (Const(0), Refusal.BUSY)]
    parts = {field.name: _field(register, field.name, access.data) for field in register.fields}
    needs_idle = Cat(Const(int(register.idle_only)), *(parts[f.name] for f in register.fields if f.idle_only)).any()
    return [(~access.whole, Refusal.PARTIAL), (~_legal(register, access.data), Refusal.VALUE), (needs_idle, Refusal.BUSY)]


def _field(register: Register, name: str, value: Value) -> Value:
    """The bits of ``value`` that are this field of the register."""
    return Value.cast(data.View(register.layout, value)[name])


def _legal(register: Register, value: Value) -> Value:
    """Whether every field can take its part of ``value`` and nothing else is set."""
    legal: Value = (value & ~register.mask & (2**HOST_DATA_BITS - 1)) == 0
    if register.one_field:
        first, second = (_field(register, field.name, value) for field in register.fields)
        legal &= ~(first.any() & second.any())
    for field in register.fields:
        part = _field(register, field.name, value)
        if field.minimum > 0:
            legal &= part >= field.minimum
        legal &= ~exceeds(part, field.largest)
    return legal
