"""Token buffering by hand."""

import numpy as np

from trajectile.sw_model.schedule.buffering import deferral


def test_deferral():
    """The coldest experts wait, within the slack, once; the last batch finishes everything."""
    batches = [np.array([[0, 1], [0, 1], [0, 2], [1, 3]]), np.array([[0, 1], [0, 3]]), np.array([[2, 3], [0, 1]])]
    assert deferral(batches, 0.0, 4) == [([(0, t) for t in range(4)], 0), ([(1, 0), (1, 1)], 0),
                                                   ([(2, 0), (2, 1)], 0)]
    plan = deferral(batches, 0.25, 4)
    assert plan[0] == ([(0, 0), (0, 1), (0, 3)], 0)  # expert 2 has one token, as 3 has; 2 comes first
    assert plan[1][1] == 1 and (0, 2) in plan[1][0]
    assert sorted(token for tokens, _ in plan for token in tokens) == [
        (number, token) for number, ids in enumerate(batches) for token in range(len(ids))]
