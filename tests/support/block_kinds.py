"""Every kind of block that a design is made of."""

from amaranth.hdl import Fragment, Module

from trajectile.hw.lib.block import Block, SharedModules


class _Walk(SharedModules):
    """Elaborates one block of each kind and converts none."""

    def __init__(self) -> None:
        self.blocks: dict[str, Block] = {}

    def instance(self, component: Block, label: str, reset: object = None) -> Module:
        """Nothing in the place of a block."""
        self.look_into(component)
        return Module()

    def look_into(self, block: Block) -> None:
        """Elaborate it if it is the first of its class."""
        block._MustUse__silence = True
        if type(block).__name__ not in self.blocks:
            self.blocks[type(block).__name__] = block
            Fragment.get(block, self)


def blocks_of(top: Block) -> dict[str, Block]:
    """A block and those below it, the first of each class, by class name."""
    walk = _Walk()
    walk.look_into(top)
    return walk.blocks
