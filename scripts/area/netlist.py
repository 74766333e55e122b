"""The mapped netlist of a tile, from Yosys's BLIF: modules of cells and instances."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

#: nets that are constant
CONSTANTS = ("$false", "$true", "$undef")


@dataclass
class Module:
    """One module. Nets are numbers; those of ``CONSTANTS`` come first."""

    name: str
    #: name of each net
    nets: list[str] = field(default_factory=lambda: list(CONSTANTS))
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    #: kind, then pairs of pin and net
    cells: list[tuple[str, list[tuple[str, int]]]] = field(default_factory=list)
    #: name of a cell by its place in ``cells``, where it was given one
    labels: dict[int, str] = field(default_factory=dict)
    #: (driver, driven): two names of one net
    aliases: list[tuple[int, int]] = field(default_factory=list)


def _statements(path: Path) -> Iterator[list[str]]:
    """Words of each statement; a backslash continues a line."""
    words: list[str] = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            words += line.split()
            if words and words[-1] == "\\":
                words.pop()
            elif words:
                yield words
                words = []


def read(path: Path) -> dict[str, Module]:
    """Modules of a file that ``write_blif -gates -conn -cname -impltf`` has written, by name."""
    modules: dict[str, Module] = {}
    module, known = Module(""), dict[str, int]()

    def number(net: str) -> int:
        if (found := known.get(net)) is None:
            found = known[net] = len(module.nets)
            module.nets.append(net)
        return found

    for words in _statements(path):
        match words[0]:
            case ".model":
                module = modules[words[1]] = Module(words[1])
                known = {name: index for index, name in enumerate(module.nets)}
            case ".inputs":
                module.inputs = [number(net) for net in words[1:]]
            case ".outputs":
                module.outputs = [number(net) for net in words[1:]]
            case ".gate" | ".subckt":
                pins = [word.split("=", 1) for word in words[2:]]
                module.cells.append((words[1], [(pin, number(net)) for pin, net in pins]))
            case ".cname":
                if not words[1].startswith("$"):  # ``name$kind``: Yosys's rename -wire adds the kind
                    module.labels[len(module.cells) - 1] = words[1].split("$")[0]
            case ".conn":
                module.aliases.append((number(words[1]), number(words[2])))
            case ".end":
                pass
            case kind if not kind.startswith("#"):
                raise ValueError(f"{path}: {kind} is no statement of a mapped netlist")
    return modules
