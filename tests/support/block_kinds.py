"""Every kind of block that a design is made of."""

from amaranth.hdl import Fragment, Instance, Value
from amaranth.lib import wiring

from trajectile.hw.lib.block import SharedModules


class _Walk(SharedModules):
    """Elaborates one block of each kind and converts none."""

    def __init__(self) -> None:
        self.blocks: dict[str, wiring.Component] = {}

    def instance(self, component: wiring.Component, label: str, reset: Value | None = None) -> Instance:
        """Nothing in the place of a block."""
        self.look_into(component)
        return Instance("block")

    def look_into(self, block: wiring.Component) -> None:
        """Elaborate it if it is the first of its class."""
        block._MustUse__silence = True
        if type(block).__name__ not in self.blocks:
            self.blocks[type(block).__name__] = block
            Fragment.get(block, self)


def blocks_of(top: wiring.Component) -> dict[str, wiring.Component]:
    """A block and those below it, the first of each class, by class name."""
    walk = _Walk()
    walk.look_into(top)
    return walk.blocks
