"""From blocks to Verilog: each kind of block is converted once, however often it is placed.

Amaranth writes each submodule instance out again. With an :class:`Emitter` as *platform*, ``place`` (``hw/lib/block.py``)
converts a block once and puts an ``Instance`` of it into the parent.
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from amaranth.back import rtlil  # type: ignore[attr-defined]  # not in the stubs
from amaranth.hdl import ClockSignal, Instance, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from trajectile.hw.lib.block import SharedModules
from trajectile.hw.lib.verilog_text import plain_names, port_list
from trajectile.hw.lib.yosys import write_verilog

#: As amaranth.back.verilog does it, with the internal attributes removed.
#: Signals of no bits, such as the address within a memory of one word, have no form in Verilog: they go.
_TO_VERILOG = """read_rtlil design.il
delete */s:0
proc -nomux -norom
memory_collect
attrmap -remove generator -remove top -remove src -remove amaranth.hierarchy -remove amaranth.decoding
attrmap -modattr -remove generator -remove top -remove src -remove amaranth.hierarchy -remove amaranth.decoding
write_verilog -norename design.v
"""


def without_sram_contents(rtlil_text: str) -> str:
    """RTLIL whose SRAM has no initial contents; a ROM keeps its own. Yosys would take long to read millions of zeros."""
    if not re.match(r"(?:attribute .*\n)*module \\\w*sram_1r", rtlil_text):
        return rtlil_text
    return re.sub(r"^  cell \$meminit_v2 .*?^  end\n", "", rtlil_text, flags=re.M | re.S)


def _ports(component: wiring.Component) -> Iterator[tuple[str, bool, Value]]:
    """``(name, is_input, value)`` of every port, nested members joined with two underscores as Amaranth does."""
    for path, member, value in component.signature.flatten(component):
        yield "__".join(str(part) for part in path), member.flow is In, Value.cast(value)


class Emitter(SharedModules):
    """Collects every block once, as RTLIL, children before parents. Pass it as ``platform``."""

    def __init__(self, prefix: str = "trajectile_"):
        self.prefix = prefix
        #: RTLIL by module name, in the order of completion.
        self.rtlil: dict[str, str] = {}
        #: the component that each module came from.
        self.components: dict[str, wiring.Component] = {}

    def emit(self, component: wiring.Component) -> str:
        """Convert ``component`` and the blocks below it, each once; returns its module name."""
        name = self.prefix + getattr(component, "module_name", type(component).__name__.lower())
        if name not in self.components:
            self.rtlil[name] = rtlil.convert(component, name=name, platform=self, emit_src=False)
            self.components[name] = component
        elif self.components[name].signature != component.signature:
            raise AssertionError(f"two different blocks are both named {name}")
        return name

    def instance(self, component: wiring.Component, label: str, reset: Value | None = None) -> Instance:
        """An ``Instance`` of the component's module, wired to the component's own ports; ``reset`` resets it as well.

        In the parent's Verilog the wires are named ``label__port``.
        """
        name = self.emit(component)
        component._MustUse__silence = True  # elaborated once for all of its kind: no warning for the others
        ports = {("i_" if is_input else "o_") + port: value for port, is_input, value in _ports(component)}
        for port, value in (("clk", ClockSignal()), ("rst", ResetSignal() if reset is None else ResetSignal() | reset)):
            if re.search(rf"^  wire width 1 input \d+ +\\{port}$", self.rtlil[name], re.M):
                ports[f"i_{port}"] = value
        for port, _, value in _ports(component):
            if isinstance(value, Signal):
                value.name = f"{label}__{port}"
        return Instance(name, **ports)

    def verilog(self) -> dict[str, str]:
        """Verilog text by module name, children before parents; one run of Yosys for all."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder)
            (path / "design.il").write_text("\n".join(map(without_sram_contents, self.rtlil.values())), encoding="utf-8")
            write_verilog(_TO_VERILOG, path)
            text = plain_names((path / "design.v").read_text(encoding="utf-8"))
        order = {name: [port for port, _, _ in _ports(component)] for name, component in self.components.items()}
        found = {match.group(1): port_list(match.group(0), order.get(match.group(1), ())) + "\n"
                 for match in re.finditer(r"^(?:\(\*.*\*\)\n)*module (\w+).*?^endmodule$", text, re.M | re.S)}
        # A library submodule that stayed inside a block is named block__name and goes with it.
        return {name: "\n".join([*(found[part] for part in found if part.startswith(f"{name}__")), found[name]])
                for name in self.components}
