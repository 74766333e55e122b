"""The system around the array, in LiteX: RISC-V, UART, LiteDRAM, and the generated Verilog as one instance.

LiteX writes its Verilog; nothing of it is kept here. The same system is built for a board, and for a simulation in which a
model of the DRAM stands for PHY and chips.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trajectile.hw.design import Design
from trajectile.scripts.board.layout import HOST_BASE, HOST_STRIDE, RAM_BASE, WORD_BYTES, channel_base
from trajectile.scripts.errors import ToolError
from trajectile.scripts.soc.ports import Port, ports_of
from trajectile.sw_model.config import Config

#: modules of the extra ``soc``
PACKAGES = ("litex", "litedram", "litex_boards", "migen", "pythondata_cpu_vexriscv")
#: with instruction and data cache and a multiplier of one cycle
CPU, VARIANT = "vexriscv", "standard"
ROM_BYTES, STACK_BYTES = 0x8000, 0x2000
#: name of the top module
NAME = "soc"
#: bits of a LiteDRAM address in bytes, as AXI carries it
ADDRESS_BITS = 32
#: bursts of a port that may be under way at once
OUTSTANDING = 16


class LitexMissing(ToolError):
    """LiteX is not installed. The message is one line that says how to get it."""


def check() -> None:
    """Whether LiteX and what belongs to it are installed.

    Raises:
        LitexMissing: if not.
    """
    if missing():
        raise LitexMissing(f"LiteX, of which the system is built, is not installed ({', '.join(missing())} missing; "
                           "pip install 'trajectile[soc]')")


def missing() -> list[str]:
    """Modules of the extra ``soc`` that are not installed."""
    return [name for name in PACKAGES if find_spec(name) is None]


@dataclass(frozen=True)
class Memory:
    """The DRAM as LiteDRAM sees it."""

    #: LiteDRAM's description of the chips, for the clock
    module: Any
    #: bits of its rows' and columns' addresses, and of its banks'
    row_bits: int
    column_bits: int
    bank_bits: int
    #: bytes that a command reads or writes
    word_bytes: int

    @property
    def size(self) -> int:
        """Bytes."""
        return 2 << self.row_bits + self.column_bits + self.bank_bits


@dataclass(frozen=True)
class System:
    """A system that is put together, and not written yet."""

    config: Config
    #: LiteX's object
    soc: Any
    memory: Memory
    #: model of the DRAM in a simulation
    model: Any = None


@contextmanager
def quiet() -> Iterator[None]:
    """LiteX says much, at levels that are meant for other things."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _connect(soc: Any, made: Design, names: dict[str, Any]) -> None:
    """Place the array; ``names`` has what its ports are connected to."""
    from migen import Instance, Signal
    ports = ports_of(made.components[made.top])
    wires = {}
    for port in ports:
        wire = names.pop(port.name, None)
        if wire is None and port.is_input:
            wire = Signal(port.width)  # at 0
        if wire is not None:
            wires[f"{'i' if port.is_input else 'o'}_{port.name}"] = wire
    if names:
        raise AssertionError(f"the array has no ports {', '.join(sorted(names))}")
    soc.specials += Instance(made.top, name="array", **wires)


def _dram_port(soc: Any, data_bits: int) -> Any:
    """An AXI port into the DRAM: LiteDRAM's bridge on a port of its crossbar.

    One that is narrower than the controller only reads. LiteDRAM can adapt the width itself, but waits for each word before
    it asks for the next, and with LiteDRAM 2024.12 bursts of narrow writes do not end.
    """
    from litedram.frontend.axi import LiteDRAMAXI2Native, LiteDRAMAXIPort
    wide = LiteDRAMAXIPort(data_width=8 * WORD_BYTES, address_width=ADDRESS_BITS, id_width=1)
    soc.submodules += LiteDRAMAXI2Native(wide, soc.sdram.crossbar.get_port(), base_address=0)
    return wide if data_bits == 8 * WORD_BYTES else _narrow(soc, wide, data_bits)


def _narrow(soc: Any, wide: Any, data_bits: int) -> Any:
    """A narrower AXI port that reads, before a wide one: bursts of any length and beginning.

    Bursts go on in the cycle in which they come. A beat of the wide port gives its parts in as many cycles.
    """
    from litedram.frontend.axi import LiteDRAMAXIPort
    from litex.soc.interconnect import stream
    from migen import Case, If, Signal
    narrow = LiteDRAMAXIPort(data_width=data_bits, address_width=ADDRESS_BITS, id_width=1)
    ratio, low = 8 * WORD_BYTES // data_bits, (data_bits // 8).bit_length() - 1
    bits = ratio.bit_length() - 1
    # bursts under way: in which part of a word they begin, beats less one
    bursts = stream.SyncFIFO([("begin", bits), ("beats", 8)], OUTSTANDING)
    soc.submodules += bursts
    first, next_part, part, done, last = Signal(bits), Signal(bits), Signal(bits), Signal(8), Signal()
    soc.comb += [
        first.eq(narrow.ar.addr[low:low + bits]),
        wide.ar.addr[low + bits:].eq(narrow.ar.addr[low + bits:]), wide.ar.len.eq((narrow.ar.len + first) >> bits),
        wide.ar.size.eq(WORD_BYTES.bit_length() - 1), wide.ar.burst.eq(narrow.ar.burst),
        wide.ar.valid.eq(narrow.ar.valid & bursts.sink.ready), narrow.ar.ready.eq(wide.ar.ready & bursts.sink.ready),
        bursts.sink.valid.eq(narrow.ar.valid & wide.ar.ready), bursts.sink.begin.eq(first),
        bursts.sink.beats.eq(narrow.ar.len),
        part.eq(next_part), If(done == 0, part.eq(bursts.source.begin)), last.eq(done == bursts.source.beats),
        narrow.r.valid.eq(wide.r.valid & bursts.source.valid), narrow.r.resp.eq(wide.r.resp), narrow.r.last.eq(last),
        Case(part, {at: narrow.r.data.eq(wide.r.data[at * data_bits:(at + 1) * data_bits]) for at in range(ratio)}),
        wide.r.ready.eq(narrow.r.valid & narrow.r.ready & (last | (part == ratio - 1))),
        bursts.source.ready.eq(narrow.r.valid & narrow.r.ready & last),
    ]
    soc.sync += If(narrow.r.valid & narrow.r.ready, next_part.eq(part + 1), done.eq(done + 1), If(last, done.eq(0)))
    return narrow


def _channel(axi: Any, letter: str, prefix: str, ports: dict[str, Port]) -> dict[str, Any]:
    """The ports of an AXI channel by the names in the Verilog; ``ar`` becomes ``axi.ar``, its fields without the letter."""
    channel = getattr(axi, letter)
    found = {}
    for field in ("addr", "len", "size", "burst", "valid", "ready", "data", "strb", "resp", "last"):
        name = f"{prefix}__{letter}{field}"
        if name in ports:
            found[name] = getattr(channel, field)
    return found


def _add_array(soc: Any, config: Config, made: Design) -> None:
    """The array with its host ports on the CPU's bus and its memory ports at the DRAM."""
    from litex.soc.integration.soc import SoCRegion
    from litex.soc.interconnect import axi as litex_axi
    from migen import ClockSignal, ResetSignal, Signal
    ports = {port.name: port for port in ports_of(made.components[made.top])}
    names: dict[str, Any] = {"clk": ClockSignal("sys"), "rst": ResetSignal("sys")}
    for tile in range(config.array.tiles):
        host = litex_axi.AXILiteInterface(data_width=32, address_width=32, bursting=False)
        for letter in ("aw", "w", "b", "ar", "r"):
            names |= _channel(host, letter, f"host__{tile}", ports)
        # What a tile refuses must not stop the processor: the response stays here, and the driver reads REFUSED.
        names[f"host__{tile}__bresp"], names[f"host__{tile}__rresp"] = Signal(2), Signal(2)
        region = SoCRegion(origin=HOST_BASE + tile * HOST_STRIDE, size=HOST_STRIDE, cached=False)
        soc.bus.add_slave(f"tile{tile}", host, region)
    memory_ports = [(f"io__{tile}__read", f"io__{tile}__write", 8 * config.io.bytes_per_cycle, 0)
                    for tile in range(config.array.tiles)]
    memory_ports += [(f"ddr__{channel}", "", 8 * config.ddr.bytes_per_cycle, channel_base(config, channel))
                     for channel in range(config.array.channels)]
    for read, write, bits, base in memory_ports:
        axi = _dram_port(soc, bits)
        parts = [(read, ("ar", "r")), *([(write, ("aw", "w", "b"))] if write else [])]
        for prefix, letters in parts:
            for letter in letters:
                names |= _channel(axi, letter, prefix, ports)
        for prefix, letter in [(read, "ar"), *([(write, "aw")] if write else [])]:
            # the tile's addresses have 40 bits and begin at 0 of its channel
            name, inner = f"{prefix}__{letter}addr", Signal(ports[f"{prefix}__{letter}addr"].width)
            names[name] = inner
            soc.comb += getattr(axi, letter).addr.eq(inner[:ADDRESS_BITS] + base)
    irq = Signal(config.array.tiles)
    names["irq"] = irq
    _connect(soc, made, names)


def _base(platform: Any, clock_hz: float, baud: int) -> Any:
    """A LiteX system without clock and memory."""
    from litex.soc.integration.soc_core import SoCCore
    return SoCCore(platform, clock_hz, cpu_type=CPU, cpu_variant=VARIANT, bus_standard="wishbone", ident="",
                   integrated_rom_size=ROM_BYTES, integrated_rom_mode="rx", integrated_sram_size=STACK_BYTES,
                   uart_name="serial", uart_baudrate=baud, uart_fifo_depth=16)


def _add_memory(soc: Any, phy: Any, module: Any) -> None:
    # without a second cache, which would hide from the CPU what tiles write
    soc.add_sdram("sdram", phy=phy, module=module, l2_cache_size=0)


def _finish(soc: Any) -> None:
    """Put everything together. What a program needs to know of it stands afterwards."""
    soc.finalize()
    assert soc.bus.regions["main_ram"].origin == RAM_BASE


def for_simulation(config: Config, made: Design, clock_hz: float, baud: int, rows: int) -> System:
    """The system with a model of the DRAM, of OrangeCrab's chip with so many rows, behind the same controller.

    Ports of the top: ``clk``, ``rst``, ``serial_tx``, ``serial_rx``.
    """
    check()
    from litedram.modules import MT41K64M16
    from litedram.phy.model import SDRAMPHYModel
    from litex.build.generic_platform import Pins, Subsignal
    from litex.build.sim import SimPlatform
    from litex.gen import LiteXModule
    from migen import ClockDomain
    with quiet():
        platform = SimPlatform("SIM", [("clk", 0, Pins(1)), ("rst", 0, Pins(1)),
                                       ("serial", 0, Subsignal("tx", Pins(1)), Subsignal("rx", Pins(1)))], name=NAME)
        soc = _base(platform, clock_hz, baud)
        soc.crg = crg = LiteXModule()
        crg.cd_sys = ClockDomain()
        soc.comb += [crg.cd_sys.clk.eq(platform.request("clk")), crg.cd_sys.rst.eq(platform.request("rst"))]
        module = MT41K64M16(clock_hz, "1:2")
        module.geom_settings.rowbits = rows.bit_length() - 1
        soc.ddrphy = phy = SDRAMPHYModel(module, _ecp5_settings(clock_hz), clk_freq=clock_hz)
        _add_memory(soc, phy, module)
        _add_array(soc, config, made)
        soc.add_constant("SDRAM_TEST_DISABLE")  # which would overwrite what a simulation finds in memory
        _finish(soc)
    return System(config, soc, _memory(module, phy), phy)


def for_board(config: Config, made: Design, clock_hz: float, baud: int) -> System:
    """The system for an OrangeCrab with an ECP5-85F: clocks, pins and PHY as LiteX-Boards has them, UART on pins 0 and 1."""
    check()
    from litedram.modules import MT41K64M16
    from litedram.phy import ECP5DDRPHY
    from litex_boards.platforms import gsd_orangecrab
    from litex_boards.targets.gsd_orangecrab import _CRGSDRAM
    with quiet():
        platform = gsd_orangecrab.Platform(revision="0.2", device="85F", toolchain="trellis")
        platform.add_extension(gsd_orangecrab.feather_serial)
        soc = _base(platform, clock_hz, baud)
        soc.crg = crg = _CRGSDRAM(platform, clock_hz)
        pads = platform.request("ddram")
        soc.ddrphy = phy = ECP5DDRPHY(pads, sys_clk_freq=clock_hz, dm_remapping={0: 1, 1: 0},
                                      cmd_delay=0 if clock_hz > 64e6 else 100)
        phy.settings.rtt_nom = "disabled"
        soc.comb += [pads.vccio.eq(0b111111), pads.gnd.eq(0), crg.stop.eq(phy.init.stop), crg.reset.eq(phy.init.reset)]
        module = MT41K64M16(clock_hz, "1:2")
        _add_memory(soc, phy, module)
        _add_array(soc, config, made)
        _finish(soc)
    return System(config, soc, _memory(module, phy))


def write_project(system: System, folder: Path, made: Design) -> list[str]:
    """As :func:`write_verilog`, for a board: with ``soc.lpf``, its pins and clocks."""
    platform = system.soc.platform
    with quiet():
        platform.build(system.soc, build_dir=str(folder.resolve()), build_name=NAME, run=False)
    for name in (f"{NAME}.ys", f"build_{NAME}.sh"):  # LiteX's scripts know nothing of the array
        (folder / name).unlink()
    return [f"{NAME}.v", *_others(system, folder, made)]


def _others(system: System, folder: Path, made: Design) -> list[str]:
    """Write the Verilog that LiteX does not write: the CPU's and the array's; returns file names."""
    names = []
    for path, *_ in system.soc.platform.sources:
        if Path(path).name != f"{NAME}.v":
            (folder / Path(path).name).write_bytes(Path(path).read_bytes())
            names.append(Path(path).name)
    for name, text in made.files().items():
        (folder / name).write_text(text, encoding="utf-8")
        names.append(name)
    return names


def _memory(module: Any, phy: Any) -> Memory:
    geometry = module.geom_settings
    made = Memory(module, geometry.rowbits, geometry.colbits, geometry.bankbits,
                  phy.settings.dfi_databits * phy.settings.nphases // 8)
    assert made.word_bytes == WORD_BYTES
    return made


def _ecp5_settings(clock_hz: float) -> Any:
    """Widths and latencies of LiteDRAM's PHY for ECP5, as it computes them itself."""
    from litedram.phy import ECP5DDRPHY
    from migen import Record
    pads = Record([("clk_p", 1), ("cke", 1), ("odt", 1), ("reset_n", 1), ("cs_n", 1), ("ras_n", 1), ("cas_n", 1), ("we_n", 1),
                   ("a", 13), ("ba", 3), ("dq", 16), ("dm", 2), ("dqs_p", 2)])
    settings = ECP5DDRPHY(pads, sys_clk_freq=clock_hz).settings
    settings.read_leveling = False  # the model has no delays to train
    return settings


def headers(system: System) -> dict[str, str]:
    """C headers that LiteX and LiteDRAM make for programs: path below the include folder to text."""
    from litedram.init import get_sdram_phy_c_header
    from litex.soc.integration import export
    soc = system.soc
    settings = soc.sdram.controller.settings
    with quiet():
        return {
            "generated/csr.h": export.get_csr_header(soc.csr_regions, soc.constants, soc.mem_regions["csr"].origin),
            "generated/mem.h": export.get_mem_header(soc.mem_regions),
            "generated/soc.h": export.get_soc_header(soc.constants),
            "generated/sdram_phy.h": get_sdram_phy_c_header(settings.phy, settings.timing, settings.geom),
        }


def set_rom(system: System, words: list[int]) -> None:
    """What the ROM holds, in 32-bit words."""
    with quiet():
        system.soc.init_rom("rom", words, auto_size=False)


def write_verilog(system: System, folder: Path, made: Design) -> list[str]:
    """Write the system's Verilog, the array's and the CPU's to a folder; returns file names, the top's first.

    Memories with contents read them when a simulation begins, from files in the folder where it runs.
    """
    platform = system.soc.platform
    with quiet():
        output = platform.get_verilog(system.soc, name=NAME)
    for name, text in {f"{NAME}.v": output.main_source, **output.data_files}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [f"{NAME}.v", *_others(system, folder, made)]
