"""The ring and its routes, for every grid that a configuration may have."""

from itertools import pairwise

import pytest

from trajectile.sw_model.config import ArrayConfig
from trajectile.sw_model.config.topology import (
    edge_hops,
    edge_path,
    links,
    most_passing,
    neighbour,
    passing_edges,
    ring,
    ring_distance,
    ring_next,
    ring_prev,
    route,
)

GRIDS = [ArrayConfig(rows=rows, cols=cols, ddr_tiles=(0,))
         for rows in range(1, 5) for cols in range(1, 5) if rows * cols > 1]


@pytest.mark.parametrize("array", GRIDS, ids=lambda a: f"{a.rows}x{a.cols}")
def test_ring(array):
    """The ring visits each tile once; no directed link carries two ring edges; routes follow it in both directions."""
    assert sorted(ring(array)) == list(range(array.tiles))
    wires = {(link.tile, link.peer) for link in links(array)}
    used = []
    for tile in range(array.tiles):
        after = ring_next(array, tile)
        assert ring_prev(array, after) == tile
        path = edge_path(array, tile)
        used += list(pairwise(path))
        for start, end, way in ((tile, after, path), (after, tile, path[::-1])):
            here, seen = start, [start]
            while here != end:
                here = neighbour(array, here, route(array, here)[end])
                seen.append(here)
            assert tuple(seen) == way
    assert set(used) <= wires and len(used) == len(set(used))


@pytest.mark.parametrize("array", GRIDS, ids=lambda a: f"{a.rows}x{a.cols}")
def test_ring_edges_are_single_links_where_a_cycle_exists(array):
    """Only a line of three or more tiles and the 3x3 grid have an edge over tiles between."""
    longest = max(edge_hops(array, tile) for tile in range(array.tiles))
    if 1 in (array.rows, array.cols):
        assert longest == array.tiles - 1
    else:
        assert longest == (2 if array.rows == array.cols == 3 else 1)


@pytest.mark.parametrize("array", GRIDS, ids=lambda a: f"{a.rows}x{a.cols}")
def test_ports_of_a_tile(array):
    """What the router relies on: a port carries one edge each way, and at most one edge runs over a tile."""
    assert most_passing(array) <= 1
    for tile in range(array.tiles):
        ports = route(array, tile)
        comes, goes = [ports[ring_prev(array, tile)]], [ports[ring_next(array, tile)]]
        for edge in passing_edges(array, tile):
            comes.append(ports[edge])
            goes.append(ports[ring_next(array, edge)])
        assert len(set(comes)) == len(comes) and len(set(goes)) == len(goes)


def test_distance():
    """Distances are counted along the ring."""
    array = ArrayConfig(rows=2, cols=2, ddr_tiles=(0,))
    assert ring(array) == (0, 1, 3, 2)
    assert [ring_distance(array, 1, other) for other in range(4)] == [3, 0, 2, 1]


def test_link_ends():
    """A link that leaves east ends west, and so on."""
    array = ArrayConfig(rows=2, cols=2, ddr_tiles=(0,))
    for link in links(array):
        assert neighbour(array, link.peer, link.peer_port) == link.tile
