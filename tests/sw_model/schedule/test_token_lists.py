"""Token lists by hand: their order, and what is kept out of them."""

import numpy as np

from tests.support.configurations import small
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.schedule.token_lists import DroppedChoice


def test_token_lists_begin_with_the_last_record():
    """Each token is linked in before those that came earlier: by hand, two lanes."""
    config = small()
    ids = np.array([[0, 1], [1, 0], [0, 2], [2, 1], [0, -1]])
    tile = schedule(config, ids, records=[[4, 1, 2, 0, 3], []]).tiles[0]
    # lane 0 has tokens 4, 2, 3, lane 1 has 1, 0
    assert tile.passes.tolist() == [2, 2, 2, 0, 0, 0] and tile.first.tolist() == [0, 2, 4, 6, 6, 6]
    assert tile.list_tokens.tolist() == [[2, 0], [4, 1], [3, 0], [-1, 1], [3, -1], [2, -1]]
    assert tile.list_ranks[:, 0].tolist() == [0, 0, 1, 0, 0, 1] and tile.list_ranks[:, 1].tolist() == [0, 1, 1, 0, 0, 0]


def test_wrong_choices_are_dropped():
    """An expert out of range, and one that came before for this token; noted in the order of reading."""
    config = small(layer__top_k=4)
    ids = np.array([[0, 6, 0, 1], [2, 2, 65535, 2], [-1, 65534, 3, 4]])
    plan = schedule(config, ids, records=[[1, 0], [2]], strict=False)
    assert plan.topk_ids.tolist() == [[0, -1, -1, 1], [2, -1, -1, -1], [-1, -1, 3, 4]]
    assert plan.tiles[0].dropped == (DroppedChoice(1, 1, 2, "twice"), DroppedChoice(1, 3, 2, "twice"),
                                     DroppedChoice(0, 1, 6, "range"), DroppedChoice(0, 2, 0, "twice"))
    assert plan.tiles[1].dropped == (DroppedChoice(2, 1, 65534, "range"),)
    good = schedule(config, plan.topk_ids, records=[[1, 0], [2]])
    assert good.passes.tolist() == plan.passes.tolist() and good.expert_order == plan.expert_order
