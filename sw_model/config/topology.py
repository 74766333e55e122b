"""The grid of tiles: links, the ring that all slices travel, and the routing tables that embed it.

The ring visits every tile once. Where the grid has a Hamiltonian cycle every ring edge is one physical link; a line and
the 3x3 grid have none, and there one edge passes over tiles between. Each directed physical link carries at most one
ring edge, so slices of different edges never meet on a wire (checked by the tests for every grid).
"""

from dataclasses import dataclass
from functools import lru_cache

from trajectile.sw_model.config import ArrayConfig

#: Router ports in the order of ``trajectile.hw.d2d.layouts.Port``: row and column step of each.
STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))
LOCAL = 4


@dataclass(frozen=True)
class Link:
    """One direction of a physical link: it leaves ``tile`` by ``port`` and reaches ``peer``."""

    tile: int
    port: int
    peer: int

    @property
    def peer_port(self) -> int:
        """Port of the peer at which the link ends."""
        return (self.port + 2) % 4


def neighbour(array: ArrayConfig, tile: int, port: int) -> int | None:
    """The tile beyond ``port``, or None at the edge of the grid."""
    row, col = tile // array.cols + STEPS[port][0], tile % array.cols + STEPS[port][1]
    return row * array.cols + col if 0 <= row < array.rows and 0 <= col < array.cols else None


@lru_cache
def links(array: ArrayConfig) -> tuple[Link, ...]:
    """All directed physical links, by tile and port."""
    return tuple(Link(tile, port, peer) for tile in range(array.tiles) for port in range(4)
                 if (peer := neighbour(array, tile, port)) is not None)


def _comb_cycle(rows: int, cols: int) -> list[tuple[int, int]]:
    """Hamiltonian cycle of a grid with an even number of rows: along row 0, snake through the rest, back up column 0."""
    path = [(0, col) for col in range(cols)]
    for row in range(1, rows):
        inner = range(cols - 1, 0, -1) if row % 2 else range(1, cols)
        path += [(row, col) for col in inner]
    return path + [(row, 0) for row in range(rows - 1, 0, -1)]


@lru_cache
def ring(array: ArrayConfig) -> tuple[int, ...]:
    """The tiles in the order in which a slice visits them; after the last comes the first."""
    rows, cols = array.rows, array.cols
    if rows == 1 or cols == 1:
        cells = [(row, col) for row in range(rows) for col in range(cols)]
    elif rows % 2 == 0:
        cells = _comb_cycle(rows, cols)
    elif cols % 2 == 0:
        cells = [(row, col) for col, row in _comb_cycle(cols, rows)]
    else:  # 3x3, the only odd grid within 4x4: a spiral to the centre
        cells = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (1, 1)]
    return tuple(row * cols + col for row, col in cells)


def ring_next(array: ArrayConfig, tile: int) -> int:
    """The tile after ``tile`` on the ring."""
    order = ring(array)
    return order[(order.index(tile) + 1) % len(order)]


def ring_prev(array: ArrayConfig, tile: int) -> int:
    """The tile before ``tile`` on the ring."""
    order = ring(array)
    return order[order.index(tile) - 1]


def ring_distance(array: ArrayConfig, tile: int, other: int) -> int:
    """Ring edges from ``tile`` to ``other``."""
    order = ring(array)
    return (order.index(other) - order.index(tile)) % len(order)


@lru_cache
def edge_path(array: ArrayConfig, tile: int) -> tuple[int, ...]:
    """The tiles over which the ring edge out of ``tile`` runs, both ends included."""
    return grid_path(array, tile, ring_next(array, tile))


@lru_cache
def grid_path(array: ArrayConfig, tile: int, end: int) -> tuple[int, ...]:
    """The tiles on the way from ``tile`` to ``end``, both included: along the column first, then along the row."""
    path = [tile]
    while path[-1] != end:
        path.append(_step(array, path[-1], end))
    return tuple(path)


def _step(array: ArrayConfig, tile: int, end: int) -> int:
    """Next tile on the way to ``end``: along the column first, then along the row."""
    if tile // array.cols != end // array.cols:
        return tile + (array.cols if end // array.cols > tile // array.cols else -array.cols)
    return tile + (1 if end > tile else -1)


def edge_hops(array: ArrayConfig, tile: int) -> int:
    """Physical links of the ring edge out of ``tile``."""
    return len(edge_path(array, tile)) - 1


def passing_edges(array: ArrayConfig, tile: int) -> tuple[int, ...]:
    """The tiles whose ring edge runs over ``tile`` without ending there."""
    return tuple(start for start in range(array.tiles) if tile in edge_path(array, start)[1:-1])


def most_passing(array: ArrayConfig) -> int:
    """Most ring edges that run over any one tile."""
    return max(len(passing_edges(array, tile)) for tile in range(array.tiles))


@lru_cache
def route(array: ArrayConfig, tile: int) -> tuple[int, ...]:
    """Routing table of a tile: output port by destination tile.

    Ring edges (slices, requests) follow their path, grants follow it backwards, anything else goes along the column first.
    """
    table = []
    for end in range(array.tiles):
        if end == tile:
            table.append(LOCAL)
            continue
        step = _step(array, tile, end)
        forward, back = edge_path(array, ring_prev(array, end)), edge_path(array, end)
        if tile in forward:
            step = forward[forward.index(tile) + 1]
        elif tile in back:
            step = back[back.index(tile) - 1]
        table.append(next(port for port in range(4) if neighbour(array, tile, port) == step))
    return tuple(table)
