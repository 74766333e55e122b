"""Every design mutant still elaborates. One that is no design any more fails every test, which shows nothing."""

import importlib
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import EnumType
from types import ModuleType
from typing import Any

import pytest
from amaranth.lib import wiring

from tests.mutants.catalog import MUTANTS
from tests.mutants.mutant import Mutant
from trajectile.hw.array import TileArray
from trajectile.hw.lib.block import Block
from trajectile.hw.lib.emitter import Emitter
from trajectile.sw_model.config import load

pytestmark = [pytest.mark.regress, pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable"),
              # of a block that was given up half-way
              pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]
#: they have every block between them
BUILDS: tuple[list[str], ...] = ([], ["link.crc_bits=16", "tile.protect=secded", "tile.multiplier=shared", "layer.bias=true"],
          ["array.dataflows=both", "ddr.ports=2"], ["link.crc_bits=16", "array.clocks=independent"])
OF_DESIGN = [mutant for mutant in MUTANTS.values() if mutant.module.startswith("hw.")]


@dataclass(frozen=True)
class Made:
    """A block as a build has it."""

    kind: type[wiring.Component]
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]
    #: the name of its module; all modules of the build
    name: str
    build: Emitter


class _Below(Emitter):
    """Blocks below the mutated one stand as they are, whatever the mutant made of their ports' types."""

    def emit(self, component: wiring.Component) -> str:
        name = self.prefix + getattr(component, "module_name", type(component).__name__.lower())
        return name if name in self.components else super().emit(component)


def _kinds(kind: type[Block]) -> Iterator[type[Block]]:
    for below in kind.__subclasses__():
        yield below
        yield from _kinds(below)


@pytest.fixture(scope="module")
def blocks() -> Mapping[str, list[Made]]:
    """All blocks of the builds that differ, by the module of the design that they are in."""
    calls: dict[int, tuple[Any, ...]] = {}
    found: dict[str, list[Made]] = defaultdict(list)
    seen = set()
    with pytest.MonkeyPatch.context() as patch:
        for kind in set(_kinds(Block)):
            if "__init__" in vars(kind):
                def init(self, *arguments, _kind=kind, _init=kind.__init__, **named):
                    if type(self) is _kind:
                        calls[id(self)] = (self, arguments, named)
                    _init(self, *arguments, **named)
                patch.setattr(kind, "__init__", init)
        for build in BUILDS:
            emitter = Emitter()
            emitter.emit(TileArray(load("smoke", build)))
            for name, block in emitter.components.items():
                if (text := emitter.rtlil[name]) not in seen and id(block) in calls:
                    seen.add(text)
                    _, arguments, named = calls[id(block)]
                    found[type(block).__module__].append(Made(type(block), arguments, named, name, emitter))
    return found


def _mutated(mutant: Mutant) -> ModuleType:
    """The module of the mutant, beside the one that has been imported."""
    origin = importlib.import_module(mutant.imported)
    assert origin.__file__ is not None
    with open(origin.__file__, encoding="utf-8") as file:
        source = mutant.transform(file.read())
    module = ModuleType(mutant.imported)
    exec(compile(source, origin.__file__, "exec", dont_inherit=True), vars(module))  # what the file says, with a mistake
    for name, value in vars(origin).items():
        if isinstance(value, EnumType):  # a code is the same wherever it comes from
            setattr(module, name, value)
    return module


def elaborate(mutant: Mutant, blocks: Mapping[str, list[Made]], patch: pytest.MonkeyPatch) -> int:
    """Convert all blocks that the mutant changes, with the blocks below them as they are; how many these are."""
    module, origin = _mutated(mutant), sys.modules[mutant.imported]
    modules = {name: user for name, user in sys.modules.items() if name.startswith("trajectile.hw.")}
    if mutant.imported not in blocks:  # nothing but functions, and parts that are elaborated in place: put them there
        for user in modules.values():
            for key, value in list(vars(user).items()):
                if value is origin:
                    patch.setattr(user, key, module)
                elif getattr(value, "__module__", None) == mutant.imported and user is not origin:
                    patch.setattr(user, key, getattr(module, value.__name__))
    users = {mutant.imported}
    while users and not any(name in blocks for name in users):
        users = {name for name, user in modules.items() for value in vars(user).values()
                 if getattr(value, "__module__", getattr(value, "__name__", None)) in users}
    done = 0
    for name in users:
        for made in blocks.get(name, []):
            kind = getattr(module if name == mutant.imported else sys.modules[name], made.kind.__name__)
            emitter = _Below()
            emitter.rtlil, emitter.components = dict(made.build.rtlil), dict(made.build.components)
            del emitter.rtlil[made.name], emitter.components[made.name]
            emitter.emit(kind(*made.arguments, **made.named))
            done += 1
    return done


@pytest.mark.parametrize("mutant", OF_DESIGN, ids=lambda mutant: mutant.name)
def test_it_elaborates(mutant, blocks, monkeypatch):
    """A block of it at least becomes RTLIL."""
    assert elaborate(mutant, blocks, monkeypatch)


def test_one_that_does_not(blocks, monkeypatch):
    """A name that is not there, and a signal with two drivers."""
    first = next(mutant for mutant in OF_DESIGN if mutant.name == "crossing-shows-again")
    for new in ("nothing", "read.data), read.data.eq(0"):
        with pytest.raises(Exception, match=r"nothing|multiple drivers"):
            elaborate(Mutant(**vars(first) | {"new": new}), blocks, monkeypatch)
