"""Design mutants: a small mistake put into the design on purpose, which a test or a proof must notice."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import CodeType, ModuleType


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One place in the source of one module, and the mistake that goes there."""

    name: str
    #: the module it is in, below ``trajectile``: ``hw.d2d.router``
    module: str
    #: what is wrong with it
    description: str
    #: text that stands exactly once in the source
    old: str
    #: what stands there instead
    new: str
    #: tests of which one must fail on it, as pytest names them; empty where a proof must (tests/formal)
    killed_by: tuple[str, ...] = ()

    @property
    def imported(self) -> str:
        """The module's name as it is imported."""
        return f"trajectile.{self.module}"

    @property
    def block(self) -> str:
        """The last part of the module's name."""
        return self.module.rpartition(".")[2]

    def transform(self, source: str) -> str:
        """The mutated source.

        Raises:
            ValueError: if the place is not found exactly once: the design has changed, and the mutant must follow it.
        """
        found = source.count(self.old)
        if found != 1:
            raise ValueError(f"mutant {self.name}: {self.module} has {found} places, not 1, that read {self.old!r}")
        return source.replace(self.old, self.new)


class _Loader(SourceFileLoader):
    """Compiles the mutated source; nothing is cached on disk."""

    mutant: Mutant

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path).decode("utf-8")
        return compile(self.mutant.transform(source), self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    """Puts the mutant where its module is imported."""

    def __init__(self, mutant: Mutant):
        self.mutant = mutant

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != self.mutant.imported:
            return None
        found = PathFinder.find_spec(fullname, path)
        assert found is not None and found.origin is not None, fullname
        loader = _Loader(fullname, found.origin)
        loader.mutant = self.mutant
        return spec_from_file_location(fullname, found.origin, loader=loader)


def install(mutant: Mutant) -> None:
    """From now on this process imports the mutated module. To be called before anything imports it.

    Raises:
        RuntimeError: if the module has been imported already.
    """
    if mutant.imported in sys.modules:
        raise RuntimeError(f"{mutant.module} was imported before the mutant {mutant.name} was installed")
    sys.meta_path.insert(0, _Finder(mutant))
