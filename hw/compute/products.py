"""Which way a tile makes its products: ``tile.multiplier``, and the format of the weights."""

from trajectile.hw.compute.multiples import MultipleProducts
from trajectile.hw.compute.pairs import PairProducts
from trajectile.hw.compute.terms import PlainProducts, Products
from trajectile.sw_model.config import TileConfig


def products_of(tile: TileConfig) -> Products:
    """The products of a dot product of ``mac_k`` inputs."""
    e2m1 = tile.weights == "mxfp4"
    if tile.multiplier == "plain":
        return PlainProducts(tile.mac_k, tile.code_bits, e2m1=e2m1)
    return MultipleProducts(tile.mac_k) if e2m1 else PairProducts(tile.mac_k, tile.code_bits)
