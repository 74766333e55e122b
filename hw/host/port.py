"""The host port: AXI4-Lite, registers, counters, interrupt, and the doorbell."""

from collections.abc import Iterable
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, connect, flipped

from trajectile.hw.batch.layouts import PAGE_BITS, RECORD_COUNTERS, BatchLayouts
from trajectile.hw.batch.ports import QUEUE_DEPTH, DoorbellPort, StatusPort
from trajectile.hw.d2d.layouts import EPOCH_BITS, NEIGHBOURS
from trajectile.hw.host.access import AccessBus, AccessPort
from trajectile.hw.host.axi import HOST_DATA_BITS, AxiLite
from trajectile.hw.host.codes import ERRORS, Refusal
from trajectile.hw.host.doorbell import DoorbellCheck
from trajectile.hw.host.ports import CountStrobes, LinkStatus, Settings
from trajectile.hw.host.regmap import COUNTERS, Access, Register, RegisterMap
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.limits import exceeds

#: what a field holds or shows, by register and field name; a legal write of a register, by name
Fields = dict[tuple[str, str], Signal]
Written = dict[str, Signal]


class HostPort(Block):
    """Registers, decoded from :class:`~trajectile.hw.host.regmap.RegisterMap`, behind one AXI4-Lite subordinate.

    Refused with SLVERR, and without effect, is what :class:`~trajectile.hw.host.codes.Refusal` lists; REFUSED says which
    access and why. Settings can be written only while the tile is idle: no descriptor waits, no batch runs, no failure, no
    reset. A write of DOORBELL makes a descriptor of BATCH_LAYER to BATCH_HIGH and of what is written, and pushes it into the
    queue in the cycle of the access, if :class:`~trajectile.hw.host.doorbell.DoorbellCheck` finds nothing wrong.

    The host port is not part of the reset by the host; it keeps all registers then, but for the interrupt cause ERROR.

    Latency: a request (address and data) that is accepted in cycle c has its response in c+4 (``latency_cycles`` = 4), and
    what it reads is as it was in c+2 (``read_cycles`` = 2); up to 2 cycles later (``other_access_cycles`` = 2) if an access
    of the other channel is served first. A counter shows a strobe after ``counter_cycles`` = 2, REFUSED and its cause an
    access of two cycles before. Storage: the registers, one access each way, what was refused; a bit for each register.
    """

    latency_cycles = AccessPort.latency_cycles
    read_cycles = latency_cycles - 2
    other_access_cycles = AccessPort.behind_write_cycles
    counter_cycles = 2

    host: AxiLite.Interface
    tile_id: Signal
    doorbell: DoorbellPort.Interface
    batches: StatusPort.Interface
    now: Signal
    counters: data.View
    irq: Signal
    settings: Settings.Interface
    counts: CountStrobes.Interface
    links: list[LinkStatus.Interface]
    epoch: Signal
    known: Signal
    settling: Signal
    ready: Signal

    def __init__(self, params: BatchLayouts):
        self.params, self.config = params, params.config
        #: the registers that it has
        self.map = RegisterMap(params)
        super().__init__({
            "host": In(AxiLite()),  #: from the host
            "tile_id": In(params.tile_bits),  #: strap: number of this tile
            "doorbell": Out(DoorbellPort(params)),  #: to the queue of descriptors
            "batches": Out(StatusPort(params)),  #: to and from batch control
            "now": Out(HOST_DATA_BITS),  #: number of this cycle, from rst on
            "counters": Out(data.ArrayLayout(HOST_DATA_BITS, RECORD_COUNTERS)),  #: the counters of completion records
            "irq": Out(1),  #: a cause that is enabled has occurred
            "settings": Out(Settings(params)),  #: what the host has set
            "counts": Out(CountStrobes(corrects=params.protect == "secded")),  #: what the counters count
            **({
                "links": Out(LinkStatus(opens=self.config.array.independent)).array(len(NEIGHBOURS)),  #: link layers
            } if self.config.link.crc_bits else {}),
            **({
                "epoch": In(EPOCH_BITS),  #: number of the last reset
                "known": In(1),  #: it is known
                "settling": In(1),  #: this tile is out of its reset, but others may not be
                "ready": In(1),  #: all tiles that links reach are in this epoch, and out of reset
            } if self.config.array.independent else {}),
        })

    def elaborate(self, platform: object) -> Module:
        """Registers, their decoding, doorbell, interrupt."""
        m = Module()
        access_port, check = AccessPort(), DoorbellCheck(self.params)
        place(m, platform, access_port=access_port, doorbell_check=check)
        connect(m, flipped(self.host), access_port.host)
        access = access_port.access

        fields: Fields = {(register.name, field.name):
                  Signal(field.width, init=field.reset, name=f"{register.name}_{field.name}".lower())
                  for register in self.map.registers for field in register.fields
                  if register.access not in (Access.CONST, Access.WO)}
        written: Written = {register.name: Signal(name=f"write_{register.name.lower()}")
                   for register in self.map.registers if register.writable}
        # Why the access of this cycle is refused.
        refusal = Signal(Refusal)
        self._decode(m, access, fields, written, refusal, check)
        for register in self.map.registers:
            with m.If(written.get(register.name, 0)):
                for field in register.fields:
                    if register.access is Access.RW:
                        m.d.sync += fields[register.name, field.name].eq(_field(register, field.name, access.data))
                    elif register.access is Access.W1S:
                        with m.If(_field(register, field.name, access.data)):
                            m.d.sync += fields[register.name, field.name].eq(1)
        # Whether it is, and why, is known late in its cycle: it is noted in the next.
        refused = Signal()
        refused_write = Signal()
        refused_code = Signal(Refusal)
        refused_address = Signal.like(access.address)
        m.d.sync += [
            refused.eq((access.write & ~access.writable) | (access.read & ~access.readable)),
            refused_write.eq(access.write), refused_code.eq(refusal), refused_address.eq(access.address),
        ]
        with m.If(refused):
            m.d.sync += [
                fields["REFUSED", "CODE"].eq(refused_code), fields["REFUSED", "WRITE"].eq(refused_write),
                fields["REFUSED", "ADDRESS"].eq(refused_address << 2),
            ]
        with m.Elif(written["REFUSED"]):
            m.d.sync += [fields["REFUSED", field.name].eq(0) for field in self.map["REFUSED"].fields]
        batches = self.batches
        self._interrupt(m, fields, Mux(written["IRQ_STATUS"], access.data, 0), {
            "COMPLETE": batches.complete, "ERROR": batches.fail, "REFUSED": refused, "RECORD": batches.record})
        self._doorbell(m, access, fields, written["DOORBELL"], check)
        self._count(m, fields)

        m.d.comb += [
            batches.ask_reset.eq(written["CONTROL"] & _field(self.map["CONTROL"], "RESET", access.data)),
            fields["TILE_ID", "VALUE"].eq(self.tile_id),
            fields["STATUS", "BUSY"].eq((self.doorbell.level != 0) | (batches.running != 0)),
            fields["STATUS", "FAILED"].eq(batches.failed), fields["STATUS", "RESETTING"].eq(
                batches.resetting | self.settling if self.config.array.independent else batches.resetting),
            *(fields["ERROR", name].eq(batches.error[number]) for number, (name, _) in enumerate(ERRORS)),
            fields["QUEUE", "WAITING"].eq(self.doorbell.level), fields["QUEUE", "RUNNING"].eq(batches.running),
            *(shown.eq(fields[name, "VALUE"]) for name, shown in self.settings.by_name.items()),
            Value.cast(self.settings.route).eq(Cat(
                signal for (name, _), signal in fields.items() if name.startswith("ROUTE_"))),
        ]
        if self.config.link.crc_bits:
            m.d.comb += Cat(fields["LINK_DOWN", port.name] for port in NEIGHBOURS).eq(Cat(link.down for link in self.links))
        if self.config.array.independent:
            m.d.comb += [
                Cat(fields["LINK_OPEN", port.name] for port in NEIGHBOURS).eq(Cat(link.is_open for link in self.links)),
                fields["EPOCH", "NUMBER"].eq(self.epoch), fields["EPOCH", "KNOWN"].eq(self.known),
                fields["EPOCH", "READY"].eq(self.ready),
            ]
        return m

    def _decode(self, m: Module, access: AccessBus.Interface, fields: Fields, written: Written, refusal: Signal,
                check: DoorbellCheck) -> None:
        """Which register, what it reads, and whether the access is legal.

        What does not change from cycle to cycle, and what is read, is found in the cycle before the access. Only registers
        that cannot be written at all times wait for what is left: whether the tile is idle, whether a descriptor is legal.
        """
        wrong = Signal(Refusal, init=Refusal.NO_REGISTER)
        needs_idle = Signal()
        rings = Signal()
        value = Signal(HOST_DATA_BITS)
        found = {name: Signal.like(what, name=f"found_{name}") for name, what in
                 (("wrong", wrong), ("needs_idle", needs_idle), ("rings", rings), ("value", value))}
        m.d.sync += [found["wrong"].eq(wrong), found["needs_idle"].eq(needs_idle), found["rings"].eq(rings),
                     found["value"].eq(value)]
        legal = Signal()  # but for what does change
        m.d.comb += access.value.eq(found["value"])
        m.d.sync += legal.eq(wrong == Refusal.NONE)
        # Whether, apart from why: a doorbell waits for it.
        stopped, full = self.batches.resetting | self.batches.failed, self.doorbell.level == QUEUE_DEPTH
        m.d.comb += [
            access.readable.eq(legal),
            access.writable.eq(legal & ~((found["needs_idle"] & (stopped | fields["STATUS", "BUSY"]))
                                         | (found["rings"] & (stopped | full | (check.refusal != Refusal.NONE))))),
        ]
        with m.If(found["wrong"] != Refusal.NONE):
            m.d.comb += refusal.eq(found["wrong"])
        with m.Elif((found["needs_idle"] | found["rings"]) & self.batches.resetting):
            m.d.comb += refusal.eq(Refusal.RESETTING)
        with m.Elif((found["needs_idle"] | found["rings"]) & self.batches.failed):
            m.d.comb += refusal.eq(Refusal.FAILED)
        with m.Elif(found["needs_idle"] & fields["STATUS", "BUSY"]):
            m.d.comb += refusal.eq(Refusal.BUSY)
        with m.Elif(found["rings"] & full):
            m.d.comb += refusal.eq(Refusal.FULL)
        with m.Elif(found["rings"]):
            m.d.comb += refusal.eq(check.refusal)

        # Registers that are told which of them is meant, in place of an address that each would have to look at.
        meant = {register.name: Signal(name=f"meant_{register.name.lower()}") for register in self.map.registers}
        m.d.sync += [meant[register.name].eq(access.next_address == register.offset * 8 // HOST_DATA_BITS)
                     for register in self.map.registers]
        # What holds of the one that is meant: no choice between registers, which would be a long way.
        codes, idle = [], []
        for register in self.map.registers:
            asked = meant[register.name] & access.writes
            if not register.writable:
                codes.append(Mux(asked, Refusal.READ_ONLY, Refusal.NONE))
                continue
            waits = register.idle_only or register.name == "DOORBELL"
            m.d.comb += written[register.name].eq(
                access.write & meant[register.name] & (access.writable if waits else legal))
            locked = fields["IO_LOCK", "LOCKED"] if register.lockable else 0
            code = Mux(_legal(register, access.data), Mux(locked, Refusal.LOCKED, Refusal.NONE), Refusal.VALUE)
            codes.append(Mux(asked, Mux(access.whole, code, Refusal.PARTIAL), Refusal.NONE))
            if register.idle_only:
                idle.append(asked)
        m.d.comb += [
            value.eq(_either(Mux(meant[one.name], _shown(one, fields), 0) for one in self.map.registers)),
            Value.cast(wrong).eq(Mux(Cat(meant.values()).any(), _either(codes), Refusal.NO_REGISTER)),
            needs_idle.eq(Cat(idle).any()), rings.eq(meant["DOORBELL"] & access.writes),
        ]

    def _doorbell(self, m: Module, access: AccessBus.Interface, fields: Fields, rung: Signal, check: DoorbellCheck) -> None:
        """Check what is to be queued, and queue it."""
        told = {field.name: _field(self.map["DOORBELL"], field.name, access.data) for field in self.map["DOORBELL"].fields}
        descriptor, low = self.doorbell.descriptor, self.params.io_low_bits
        m.d.comb += [
            check.layer_base.eq(Cat(fields["BATCH_LAYER", "VALUE"], fields["BATCH_HIGH", "LAYER"])),
            check.records.eq(Cat(fields["BATCH_RECORDS", "VALUE"], fields["BATCH_HIGH", "RECORDS"])),
            check.results.eq(Cat(fields["BATCH_RESULTS", "VALUE"], fields["BATCH_HIGH", "RESULTS"])),
            check.read_base.eq(fields["IO_READ_BASE", "VALUE"]), check.read_size.eq(fields["IO_READ_SIZE", "VALUE"]),
            check.write_base.eq(fields["IO_WRITE_BASE", "VALUE"]), check.write_size.eq(fields["IO_WRITE_SIZE", "VALUE"]),
            check.tokens.eq(told["TOKENS"]), check.bf16.eq(told["BF16"]),
            self.doorbell.push.eq(rung),
            descriptor.layer.eq(check.layer_base[PAGE_BITS:]), descriptor.records.eq(check.records[low:]),
            descriptor.results.eq(check.results[low:]), descriptor.tokens.eq(told["TOKENS"]),
            Value.cast(descriptor.order).eq(told["ORDER"]), descriptor.bf16.eq(told["BF16"]), descriptor.tag.eq(told["TAG"]),
            descriptor.rung.eq(self.now),
        ]
        if self.config.array.shares:
            m.d.comb += descriptor.shared.eq(told["SHARED"])

    def _count(self, m: Module, fields: Fields) -> None:
        """The time, and counters. Nothing but rst sets them back."""
        strobes: dict[str, Value] = {**self.counts.by_name}
        if self.params.protect == "secded":
            strobes["COUNT_CORRECTED"] = self.counts.corrected
        if self.config.link.crc_bits:
            strobes |= {f"LINK_{port.name}_{name}": strobe for port in NEIGHBOURS
                        for name, strobe in self.links[port.value].by_name.items()}
        strobes["COMPLETED"] = self.batches.complete
        for name, strobe in strobes.items():
            # Strobes come late in a cycle: they are counted in the next.
            counted = Signal(name=f"counted_{name.lower()}")
            m.d.sync += counted.eq(strobe)
            with m.If(counted):
                m.d.sync += fields[name, "VALUE"].eq(fields[name, "VALUE"] + 1)
        now = fields["NOW", "VALUE"]
        m.d.sync += now.eq(now + 1)
        m.d.comb += self.now.eq(now)
        for number, (name, _) in enumerate(COUNTERS):
            m.d.comb += self.counters[number].eq(fields[name, "VALUE"])

    def _interrupt(self, m: Module, fields: Fields, cleared: Value, occurs: dict[str, Value]) -> None:
        """Causes: set by what occurs, ``cleared`` by the host. One that occurs while the host clears it stays.

        A reset ends a failure, and so clears ERROR.
        """
        causes = []
        for name, strobe in occurs.items():
            cause = fields["IRQ_STATUS", name]
            with m.If(strobe):
                m.d.sync += cause.eq(1)
            with m.Elif(_field(self.map["IRQ_STATUS"], name, cleared) | (self.batches.resetting if name == "ERROR" else 0)):
                m.d.sync += cause.eq(0)
            causes.append(cause & fields["IRQ_ENABLE", name])
        m.d.comb += self.irq.eq(Cat(causes).any())


def _field(register: Register, name: str, value: Value) -> Value:
    """The bits of ``value`` that are this field of the register."""
    return Value.cast(data.View(register.layout, value)[name])


def _shown(register: Register, fields: Fields) -> Value:
    """What a register reads: its fields, and zeros between."""
    parts: list[Value] = []
    low = 0
    for field in sorted(register.fields, key=lambda field: field.low):
        shown = fields.get((register.name, field.name), Const(field.reset, field.width))
        parts += [Const(0, field.low - low), shown]
        low = field.low + field.width
    return Cat(parts)


def _either(values: Iterable[Value]) -> Value:
    """The one that is not zero."""
    return reduce(or_, values)


def _legal(register: Register, value: Value) -> Value:
    """Whether every field can take its part of ``value`` and nothing else is set."""
    legal: Value = (value & ~register.mask & (2**HOST_DATA_BITS - 1)) == 0
    for field in register.fields:
        part = _field(register, field.name, value)
        if field.minimum > 0:
            legal &= part >= field.minimum
        legal &= ~exceeds(part, field.largest)
    return legal
