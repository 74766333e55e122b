"""What every part of the tile is: a block, which becomes one Verilog module however often it is placed."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping

from amaranth.hdl import DomainRenamer, Instance, Module, ResetInserter, Value
from amaranth.lib import wiring


class Block(wiring.Component):
    """A component that is one Verilog module. ``module_name`` tells blocks of other parameters apart."""

    #: cycles from what the docstring names first to what that causes; every block has it, and a test measures it
    latency_cycles: int
    #: it has ports ``clk`` and ``rst``
    clocked: bool = True

    @property
    def module_name(self) -> str:
        """Verilog name: the class name in snake case. Override where one tile holds several sizes."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()


class SharedModules(ABC):
    """A *platform* on which a block is not elaborated in place but stands as an instance of one module of its kind."""

    @abstractmethod
    def instance(self, component: wiring.Component, label: str, reset: Value | None = None) -> Instance:
        """An instance of the component's module, wired to the component's own ports; ``reset`` resets it as well."""


def place(m: Module, platform: object, numbered: Mapping[str, wiring.Component] | None = None, /, *,
          reset: Value | None = None, domain: str = "sync", **blocks: wiring.Component) -> None:
    """Add blocks to ``m`` by name: as one shared Verilog module each, or elaborated in place (in Amaranth's simulator).

    ``numbered`` are those whose names are made up (``{f"tile_{number}": tile}``).

    With ``reset`` they are reset while it is high too; the contents of memories stay, as in any reset. ``domain`` is the
    one of ``m`` whose clock and reset they get.
    """
    for name, block in {**(numbered or {}), **blocks}.items():
        renamed = DomainRenamer(domain) if domain != "sync" else None
        if isinstance(platform, SharedModules):
            placed = platform.instance(block, name, reset)
            m.submodules[name] = renamed(placed) if renamed else placed
        else:
            whole = block if reset is None else ResetInserter(reset)(block)
            m.submodules[name] = renamed(whole) if renamed else whole
