"""What tiles make of a batch: token lists, loads, orders; and the roofline."""

import numpy as np
import pytest

from tests.support.choices import draw
from tests.support.configurations import small
from trajectile.sw_model.config import load
from trajectile.sw_model.config.topology import ring_distance
from trajectile.sw_model.schedule.scheduler import ORDERS, ScheduleError, order_experts, roofline, schedule


@pytest.mark.parametrize("tokens", [0, 1, 3, 7, 12])
@pytest.mark.parametrize("order", ORDERS)
def test_every_choice_is_computed_once(tokens, order):
    """Each (token, chosen expert) stands exactly once in its tile's list, in its lane, within the expert's entries."""
    config = small()
    ids = draw(config, tokens, tokens)
    plan = schedule(config, ids, order)
    seen = []
    for number, tile in enumerate(plan.tiles):
        for expert in range(config.layer.experts):
            first = tile.first[expert]
            for entry in range(first, first + tile.passes[expert]):
                assert (tile.list_tokens[entry] >= 0).any()
                for lane, token in enumerate(tile.list_tokens[entry]):
                    if token >= 0:
                        assert ids[token, tile.list_ranks[entry, lane]] == expert
                        assert tuple(plan.placement[token][:2]) == (number, lane)
                        assert tile.records[lane + config.tile.mac_t * plan.placement[token, 2]] == token
                        seen.append((int(token), expert))
    assert sorted(seen) == sorted((t, int(e)) for t in range(tokens) for e in ids[t])


@pytest.mark.parametrize("order", ORDERS)
def test_tokens_with_fewer_choices(order):
    """-1 is no choice: the others keep their rank, by which their weights are found; a token without any has a place."""
    ids = np.array([[0, 1], [-1, 2], [3, -1], [-1, -1], [2, 0]])
    plan = schedule(small(), ids, order)
    seen = sorted((int(token), int(rank)) for tile in plan.tiles
                  for token, rank in zip(tile.list_tokens.ravel(), tile.list_ranks.ravel(), strict=True) if token >= 0)
    assert seen == sorted((token, rank) for token, rank in np.argwhere(ids >= 0).tolist())
    assert sorted(plan.expert_order) == [0, 1, 2, 3] and len(plan.placement) == 5
    most = max((ids[plan.placement[:, 0] == tile] >= 0).sum() for tile in range(2))
    assert roofline(plan).mac == most * 3 * 12 * 18 / 32


def test_loads_and_arrivals():
    """Every slice of every active expert is loaded once, at its home; arrivals count the ring edges it crosses."""
    config = load("demo", ["tile.slices=4"])
    ids = draw(config, 9, 3)
    plan = schedule(config, ids, "paired")
    here = plan.passes > 0
    loaded = [(load.expert, load.index) for tile in plan.tiles for load in tile.loads]
    assert sorted(loaded) == [(e, m) for e in np.unique(ids) for m in range(4)]
    arrivals = np.zeros(4, dtype=int)
    for number, tile in enumerate(plan.tiles):
        for entry in tile.loads:
            assert config.home(entry.expert, entry.index) == (number, entry.row)
            stops = [other for other in range(4) if here[other, entry.expert]]
            assert entry.here == (number in stops)
            others = [other for other in range(4) if other != number]
            assert [entry.ahead >> ring_distance(config.array, number, other) - 1 & 1 for other in others] == [
                other in stops for other in others]
            reach = max(ring_distance(config.array, number, other) for other in stops)
            for other in range(4):
                arrivals[other] += 0 < ring_distance(config.array, number, other) <= reach
    assert [tile.arrivals for tile in plan.tiles] == arrivals.tolist()


def test_without_skipping_every_tile_is_ahead():
    """Slices that go round the whole ring have tokens where they have them, and pass the others."""
    config = load("demo", ["tile.slices=4"])
    plan = schedule(config, np.array([[0, 1, 2, 3, 4, 5]]), skip=False)
    assert {entry.ahead for tile in plan.tiles for entry in tile.loads} == {7}
    assert [sum(entry.here for entry in tile.loads) for tile in plan.tiles] == [6, 0, 0, 0]
    assert [tile.arrivals for tile in plan.tiles] == [18] * 4


def test_orders():
    """The three orders on a batch small enough to see."""
    passes = np.array([[4, 1, 0, 3], [0, 1, 2, 1]])
    assert order_experts(passes, "index") == (0, 1, 2, 3)
    # over all tiles 4, 2, 2, 4: of equals the most is the lowest, the least the highest
    assert order_experts(passes, "paired") == (0, 2, 3, 1)
    # 4 c - P is (8, -4), (-4, 0), (-8, 4), (4, 0): first 1, the lowest of those that miss by 4; then D = (-4, 0) and
    # 3 makes it (0, 0); then 0 and 2 both miss by 12, and 2 brings back what 0 added
    assert order_experts(passes, "balanced") == (1, 3, 0, 2)


def test_balanced_is_as_it_says():
    """The same picks one expert and tile at a time, on random passes with experts that nobody has."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        passes = rng.integers(0, 4, (int(rng.integers(1, 5)), 9)) * rng.integers(0, 2, 9)
        active = [e for e in range(9) if passes[:, e].any()]
        total = [int(row.sum()) for row in passes]
        before, picked = [0] * len(passes), []
        while len(picked) < len(active):
            after = {e: [before[t] + len(active) * int(passes[t, e]) - total[t] for t in range(len(passes))]
                     for e in active if e not in picked}
            best = min(after, key=lambda e: (sum(map(abs, after[e])), e))
            picked.append(best)
            before = after[best]
        assert order_experts(passes, "balanced") == tuple(picked)
        assert not any(before)  # the last one brings every tile to its total


@pytest.mark.parametrize("order", ORDERS)
def test_orders_are_permutations_of_the_active_experts(order):
    """No expert is lost and none without tokens is loaded."""
    config = small()
    plan = schedule(config, draw(config, 2, 5), order)
    assert sorted(plan.expert_order) == sorted(np.unique(plan.topk_ids))


@pytest.mark.parametrize(("records", "named"), [
    ([[0, 1, 2]], "records of 1 tiles"),
    ([[0, 1], [1, 2]], "each token from 0 to 2 once"),
    ([[0], [2]], "each token from 0 to 2 once"),
    ([[0, 1, 2, 3, 4, 5, 6], []], "records of 7 tokens on tile 0 are not legal; legal values: 0 to 6"),
])
def test_a_placement_that_does_not_fit_is_refused(records, named):
    """The message names what is wrong."""
    with pytest.raises(ScheduleError, match=named):
        schedule(small(), np.zeros((3 if len(records[0]) < 7 else 7, 2), dtype=int) + [0, 1], records=records)


@pytest.mark.parametrize(("ids", "order", "named"), [
    (np.zeros((3, 3)), "index", "topk_ids"),
    (np.zeros((13, 2)), "index", "tokens = 13"),
    (np.full((1, 2), 6), "index", "topk_ids"),
    (np.full((1, 2), -2), "index", "topk_ids holds -2 to -2; legal: 0 to 5, or -1 for no choice"),
    (np.array([[0, 1], [3, 3]]), "index", "topk_ids has expert 3 twice for token 1; legal: once"),
    (np.array([[0, 1]]), "hottest", "order = 'hottest'"),
])
def test_what_does_not_fit_is_refused(ids, order, named):
    """The message names what is wrong and what is legal."""
    with pytest.raises(ScheduleError, match="legal") as error:
        schedule(small(), ids, order)
    assert named in str(error.value)


def test_roofline():
    """By hand: smoke, one token with two experts of 3 * 12 * 18 codes, over two channels of 2 bytes. Each output of each
    slice has one scale: 2 * 6 of gate and up, 12 of down.
    """
    plan = schedule(small(), np.array([[0, 1]]), "index")
    bound = roofline(plan)
    assert bound.ddr == 2 * 3 * (12 * 18 + 12 + 12) / 4
    assert bound.mac == 2 * 3 * 12 * 18 / 32
    # the slices whose home is tile 1 cross the edge to tile 0: 3 of 6, of 216 + 24 bytes, over 8 bytes per cycle
    assert bound.d2d == 3 * 240 / 8
    # a completion record, and 12 results, clips and unit of a token: more than is read
    assert bound.io == (64 + 12 * 4 + 3) / 4 and roofline(plan, result_bytes=2).io == (64 + 12 * 2 + 3) / 4
    assert bound.cycles == 360


def test_roofline_of_the_io_port():
    """The tile with the most tokens counts; with few results the records may be more."""
    ids = np.array([[0, 1]] * 5)
    bound = [roofline(schedule(config, ids, records=[[0, 1, 2, 3], [4]]), result_bytes=size).io
             for config, size in ((small(), 4), (small(layer__experts=64, layer__top_k=2), 2))]
    assert bound == [(64 + 4 * 51) / 4, (64 + 4 * 27) / 4]
    config = small(layer__top_k=6)
    plan = schedule(config, np.array([[0, 1, 2, 3, 4, 5]] * 12))
    assert roofline(plan, result_bytes=2).io == max(6 * (28 + 1 + 12), 64 + 6 * 27) / 4 == 246 / 4


def test_roofline_of_tokens_without_choices():
    """They are read and written, and nothing else."""
    bound = roofline(schedule(small(), np.full((4, 2), -1)))
    assert (bound.ddr, bound.mac, bound.d2d) == (0, 0, 0) and bound.cycles == bound.io + 0.5 == (64 + 2 * 51 + 2) / 4


def sharing(**changes):
    """The smoke configuration in a ring whose tile numbers are out of order, where batches may be shared."""
    return small(**({"array__rows": 2, "array__cols": 2, "array__ddr_tiles": (1, 2, 3), "array__dataflows": "both",
                     "tile__mac_t": 2, "tile__tokens": 12} | changes))


@pytest.mark.parametrize("tokens", [0, 1, 5, 12])
@pytest.mark.parametrize("order", ORDERS)
def test_a_shared_batch_is_the_same_in_every_tile(tokens, order):
    """Records of the tile at ring position 0 come first, in lanes in turn; lists are those of one tile that has them all."""
    config = sharing()
    ids = draw(config, tokens, tokens)
    plan = schedule(config, ids, order, dataflow="shared")
    held = [token for tile in (0, 1, 3, 2) for token in plan.tiles[tile].records]  # clockwise
    assert sorted(held) == list(range(tokens)) and plan.shared
    alone = schedule(config, ids, order, records=[[], held, [], []]).tiles[1]
    for number, tile in enumerate(plan.tiles):
        assert tile.held == tuple(held) and tile.arrivals == 0 and tile.dropped == ()
        for name in ("passes", "first", "list_tokens", "list_ranks"):
            assert np.array_equal(getattr(tile, name), getattr(alone, name))
        assert [plan.placement[token].tolist() for token in tile.records] == [
            [number, held.index(token) % 2, held.index(token) // 2] for token in tile.records]
        assert [config.home(load.expert, load.index) for load in tile.loads] == [(number, load.row) for load in tile.loads]
        assert all(load.here and not load.ahead for load in tile.loads)
        assert plan.stops[number].tolist() == [any(load.expert == expert for load in tile.loads)
                                               for expert in range(config.layer.experts)]
    assert sorted(plan.expert_order) == np.unique(ids).tolist()
    assert [load.expert for load in plan.tiles[1].loads] == [
        expert for expert in plan.expert_order for index in range(3) if config.home(expert, index)[0] == 1]
    assert sorted((load.expert, load.index) for tile in plan.tiles for load in tile.loads) == [
        (expert, index) for expert in np.unique(ids) for index in range(3)]


def test_every_tile_drops_wrong_choices_of_a_shared_batch():
    """In the order in which all tiles read them; a tile of a spread batch knows its own only."""
    ids = np.array([[0, 0], [9, 1], [2, 3]])
    records = [[2], [1], [], [0]]
    plan, spread = (schedule(sharing(), ids, dataflow=flow, records=records, strict=False) for flow in ("shared", "spread"))
    assert {tuple((choice.token, choice.cause) for choice in tile.dropped) for tile in plan.tiles} == {
        ((1, "range"), (0, "twice"))}
    assert [len(tile.dropped) for tile in spread.tiles] == [0, 1, 0, 1]
    assert np.array_equal(plan.topk_ids, spread.topk_ids) and (plan.topk_ids == [[0, -1], [-1, 1], [2, 3]]).all()
    assert [tile.held for tile in spread.tiles] == [tile.records for tile in spread.tiles]


@pytest.mark.parametrize(("changes", "tokens", "dataflow", "named"), [
    ({}, 13, "shared", r"tokens = 13 is not legal with dataflow = 'shared'; legal values: 0 to 12 \(tile.tokens"),
    ({"array__dataflows": "spread"}, 1, "shared", "dataflow = 'shared' is not legal with array.dataflows = 'spread'; legal"),
    ({}, 1, "both", "dataflow = 'both' is not legal; legal values: spread, shared"),
])
def test_a_dataflow_that_is_not_legal(changes, tokens, dataflow, named):
    """The array has no hardware for it, or a tile no room."""
    config = sharing(**changes)
    with pytest.raises(ScheduleError, match=named):
        schedule(config, draw(config, tokens, 1), dataflow=dataflow)
    assert schedule(config, draw(config, tokens, 1)).dataflow == "spread"


def test_roofline_of_a_shared_batch():
    """By hand: three tokens with experts 0 and 1, whose six slices are two in each of tiles 1, 2 and 3."""
    config = sharing()
    ids = np.array([[0, 1]] * 3)
    plan = schedule(config, ids, dataflow="shared", records=[[0], [1, 2], [], []])
    bound = roofline(plan)
    assert bound.ddr == roofline(schedule(config, ids)).ddr
    assert bound.mac == 3 * 2 * 3 * 12 * 6 / config.tile.macs
    # from tile 0 to tile 1: record of tile 0, sums of tile 1's; from 1 to 3 and 3 to 2: three records, one sum or three; from
    # 2 to 0: two records, three sums. A record is 12 bytes of choices, one of shifts and 12 codes; sums are 12 words and 3
    assert bound.d2d == (3 * 25 + 3 * 51) / 8
    assert bound.io == (64 + 2 * 51) / 4
    one_tile = schedule(config, ids, dataflow="shared", records=[[], [], [], [0, 1, 2]])
    assert roofline(one_tile).d2d == (3 * 25 + 3 * 51) / 8  # tile 2 passes all on, and begins all sums
