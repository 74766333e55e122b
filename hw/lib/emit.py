"""Every block of the tile becomes one Verilog module, however often it is placed.

Amaranth writes each submodule instance out again. Blocks are therefore placed with :func:`place`: in Amaranth's simulator
the block is elaborated in place; when Verilog is written the *platform* is an :class:`Emitter`, the block is converted
once and an ``Instance`` of it stands in the parent.
"""

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Instance, Module, ResetInserter, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from trajectile.hw.lib.yosys import run


class Block(wiring.Component):
    """A component that is one Verilog module. ``module_name`` tells blocks of other parameters apart."""

    @property
    def module_name(self) -> str:
        """Verilog name: the class name in snake case. Override where one tile holds several sizes."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()


def _ports(component: wiring.Component) -> Iterator[tuple[str, bool, Value]]:
    """``(name, is_input, value)`` of every port, nested members joined with two underscores as Amaranth does."""
    for path, member, value in component.signature.flatten(component):
        yield "__".join(str(part) for part in path), member.flow is In, Value.cast(value)


def _shape(component: wiring.Component) -> list[tuple[str, bool, int]]:
    """Name, direction and width of every port: signatures of one kind made twice do not compare equal."""
    return [(name, is_input, len(value)) for name, is_input, value in _ports(component)]


class Emitter:
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
        elif _shape(self.components[name]) != _shape(component):
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
            (path / "design.il").write_text("\n".join(self.rtlil.values()), encoding="utf-8")
            run(_TO_VERILOG, path)
            text = plain_names((path / "design.v").read_text(encoding="utf-8"))
        order = {name: [port for port, _, _ in _ports(component)] for name, component in self.components.items()}
        found = {match.group(1): _port_list(match.group(0), order.get(match.group(1), ())) + "\n"
                 for match in re.finditer(r"^(?:\(\*.*\*\)\n)*module (\w+).*?^endmodule$", text, re.M | re.S)}
        # A library submodule that stayed inside a block is named block__name and goes with it.
        return {name: "\n".join([*(found[part] for part in found if part.startswith(f"{name}__")), found[name]])
                for name in self.components}


#: As amaranth.back.verilog does it, with the internal attributes removed; and SRAM has no initial contents.
_TO_VERILOG = """read_rtlil design.il
delete *sram_1r*/t:$meminit_v2
proc -nomux -norom
memory_collect
attrmap -remove generator -remove top -remove src -remove amaranth.hierarchy -remove amaranth.decoding
attrmap -modattr -remove generator -remove top -remove src -remove amaranth.hierarchy -remove amaranth.decoding
write_verilog -norename design.v
"""


def plain_names(text: str) -> str:
    r"""Write ``\a.b `` as ``a__b``: readable names for the few library submodules that stay inside a block.

    A field of a port may then have the name of another port, which keeps it: the field gets an underscore more.
    """
    def module(match: re.Match[str]) -> str:
        taken = set(re.findall(r"(?<![\\\w.])[A-Za-z_]\w*", match.group(0)))
        names: dict[str, str] = {}

        def plain(match: re.Match[str]) -> str:
            name = match.group(1)
            if re.fullmatch(r"\w+", name) and not name[0].isdigit():
                return match.group(0)  # escaped because it is a Verilog keyword
            if name not in names:
                names[name] = re.sub(r"\W", "_", name.replace(".", "__"))
                while names[name] in taken:
                    names[name] += "_"
                taken.add(names[name])
            return names[name] + ("" if match.group(2) in ";,)" else " ")
        return re.sub(r"\\(\S+) (?=(.?))", plain, match.group(0))
    text = re.sub(r"^/\* Generated by .*\*/\n", "", text, flags=re.M)
    # what makes simulators evaluate a block at time 0 is numbered over the whole design
    text = re.sub(r"\\\$auto\$verilog_backend\S+ ", "_at_time_0 ", text)
    return re.sub(r"^module .*?^endmodule$", module, text, flags=re.M | re.S)


def _port_list(module: str, order: Sequence[str]) -> str:
    """A module with its ports declared in its head, one a line: clock, reset, then in ``order``, then those not in it."""
    head, body = module.split(");\n", 1)
    attributes, opening, names = re.fullmatch(r"((?:\(\*.*\*\)\n)*)(module \w+) ?\((.*)", head, re.S).groups()
    declared: dict[str, str] = {}

    def port(match: re.Match[str]) -> str:
        notes, direction, size, name, kind, start = match.groups()
        declared[name] = f"{notes}  {direction} {kind} {size}{name}{start or ''}"
        return ""
    body = re.sub(r"((?:  \(\*[^\n]*\*\)\n)*)  (input|output) ((?:signed )?(?:\[\d+:0\] )?)(\w+) ?;\n"
                  r"(?:  \(\*[^\n]*\*\)\n)*  (wire|reg) \3\4( *= [^;\n]+)?;\n", port, body)
    if set(declared) != set(re.findall(r"\w+", names)):
        raise AssertionError(f"{opening}: ports {sorted(declared)} are declared, not {names}")
    ranks = {name: rank for rank, name in enumerate(("clk", "rst", *order))}
    ports = sorted(declared, key=lambda name: ranks.get(name, len(ranks)))
    return f"{attributes}{opening} (\n" + ",\n".join(declared[name] for name in ports) + f"\n);\n{body}"


def place(m: Module, platform: object, *, reset: Value | None = None, **blocks: wiring.Component) -> None:
    """Add blocks to ``m`` by name: as one shared Verilog module each, or elaborated in place.

    With ``reset`` they are reset while it is high too; the contents of memories stay, as in any reset.
    """
    for name, block in blocks.items():
        if isinstance(platform, Emitter):
            m.submodules[name] = platform.instance(block, name, reset)
        else:
            m.submodules[name] = block if reset is None else ResetInserter(reset)(block)
