"""The Verilog as it is written to files: a head that says what it is, and what each block and port means.

Comments only: what simulators and Yosys get is the same text without them.
"""

import re
from collections.abc import Mapping, Sequence

from trajectile.scripts.soc.ports import Port

_DECLARATION = re.compile(r"^(  (?:input|output) (?:wire|reg) [^\n]*?)(\w+)((?: = [^,\n]+)?,?)$", re.M)


def comment(text: str) -> str:
    """Text as line comments."""
    return "".join(f"// {line}".rstrip() + "\n" for line in text.splitlines())


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=\.) ", " ".join(text.partition("\n\n")[0].split()))[0]


def head(file: str, what: str, origin: str, modules: Mapping[str, str]) -> str:
    """The head of a file: what it is, where it comes from, the modules in it with a line each."""
    lines = [f"{file}: {what}", "", *origin.splitlines(), "", "Modules:"]
    width = max(map(len, modules), default=0)
    lines += [f"  {name:<{width}}  {_first_sentence(summary)}".rstrip() for name, summary in modules.items()]
    return comment("\n".join(lines))


def annotated(text: str, name: str, summary: str, ports: Sequence[Port]) -> str:
    """A module with its summary above and a comment at each port; modules of library parts above it stay as they are."""
    meanings = {port.name: port.meaning for port in ports if port.meaning}
    before, start, module = text.rpartition(f"module {name} (\n")
    declared, end, body = module.partition("\n);\n")

    def explain(match: re.Match[str]) -> str:
        meaning = meanings.get(match.group(2))
        return match.group(0) + (f"  // {meaning}" if meaning else "")
    return f"{before}{comment(summary)}{start}{_DECLARATION.sub(explain, declared)}{end}{body}"
