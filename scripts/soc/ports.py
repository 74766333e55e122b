"""What each block and each of its ports means, read from docstrings and from the ``#:`` comments of the signatures."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from amaranth.hdl import Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In


@dataclass(frozen=True)
class Port:
    """A port in Verilog."""

    name: str
    is_input: bool
    width: int
    #: one line, without a full stop; may be empty
    meaning: str

    @property
    def interface(self) -> str:
        """The part of the name that its group of ports shares; empty for a port on its own."""
        return self.name.partition("__")[0] if "__" in self.name else ""

    @property
    def span(self) -> str:
        """Its range in a declaration."""
        return f"[{self.width - 1}:0] " if self.width > 1 else ""


_COMMON = {"clk": "clock of all ports and blocks, rising edge", "rst": "synchronous reset, active high"}
_STREAM = {"payload": "{}", "valid": "{}: offered", "ready": "{}: taken if offered"}


@cache
def _comments(kind: type) -> Mapping[str, str]:
    """Member name to comment, of the class that declares the members."""
    return dict(re.findall(r'"(\w+)":[^#\n]*#: ([^\n]+)', inspect.getsource(kind)))


def _meaning(component: wiring.Component, path: tuple[str | int, ...]) -> str:
    """What is said about a port, or about the interface it belongs to."""
    signature, meaning = component.signature, ""
    kind: type = type(component)
    for part in path:
        if isinstance(part, int):
            continue
        if isinstance(signature, stream.Signature):
            return _STREAM[part].format(meaning)
        meaning = _comments(kind).get(part, meaning)
        member = signature.members[part]
        if member.is_signature:
            signature = member.signature
            if isinstance(signature, wiring.FlippedSignature):
                signature = signature.flip()
            if type(signature) is not wiring.Signature:
                kind = type(signature)
    return meaning.replace("``", "`")


def ports_of(component: wiring.Component) -> list[Port]:
    """Clock, reset, and the ports of a component in its order, named as in Verilog."""
    own = [Port("__".join(map(str, path)), member.flow is In, len(Value.cast(value)), _meaning(component, path))
           for path, member, value in component.signature.flatten(component)]
    common = _COMMON if getattr(component, "clocked", True) else {}
    return [*(Port(name, True, 1, meaning) for name, meaning in common.items()), *own]


def summary_of(component: wiring.Component) -> str:
    """The docstring in plain text; empty for a class that has none of its own."""
    text = inspect.cleandoc(vars(type(component)).get("__doc__") or "")
    text = re.sub(r":\w+:`~?([^`]*)`", r"\1", text)
    return text.replace("``", "`")
