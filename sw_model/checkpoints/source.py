"""Where a layer comes from: what :func:`moe_layer.find` asks of a checkpoint, whatever its file format is."""

from collections.abc import Mapping
from typing import Protocol

from trajectile.sw_model.checkpoints.experts import Experts, Separate
from trajectile.sw_model.checkpoints.naming import Block
from trajectile.sw_model.checkpoints.tensors import Tensors


class Source(Tensors, Protocol):
    """A checkpoint that knows how its format names and stores the parts of a layer."""

    #: names of experts that are understood, for messages
    legal: str

    def layers(self) -> Mapping[int, Mapping[str, Block]]:
        """Blocks with routed experts, by layer and by what the experts are called."""

    def experts(self, block: Block) -> Experts:
        """The routed experts of a block; :class:`CheckpointError` if a tensor is missing or unknown."""

    def shared(self, block: Block) -> Separate:
        """The expert of a block that every token meets, of which all three matrices are there."""
