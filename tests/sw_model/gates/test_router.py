"""Gates of models against the same rule written for one token in plain Python."""

import math

import numpy as np
import pytest

from trajectile.sw_model.gates.router import GroupScore, Router, Rule, Scoring, rule_of, shared_weight

EXPERTS, D_MODEL, TOKENS = 12, 5, 40


def softmax(values):
    top = max(values)
    parts = [math.exp(value - top) for value in values]
    return [part / sum(parts) for part in parts]


def one_token(logits, rule, correction):
    """``(experts, weights)`` of a token, by the text of docs/import.md."""
    scores = {
        Scoring.SOFTMAX: lambda: softmax(logits), Scoring.SOFTMAX_CHOSEN: lambda: list(logits),
        Scoring.SIGMOID: lambda: [1 / (1 + math.exp(-value)) for value in logits],
        Scoring.SQRT_SOFTPLUS: lambda: [math.sqrt(math.log1p(math.exp(value))) for value in logits]}[rule.scoring]()
    judged = [score + (0 if correction is None else correction[e]) for e, score in enumerate(scores)]
    size = len(judged) // rule.groups
    groups = [judged[g * size:(g + 1) * size] for g in range(rule.groups)]
    worth = [max(group) if rule.group_score is GroupScore.MAX else sum(sorted(group)[-2:]) for group in groups]
    best = sorted(range(rule.groups), key=lambda g: -worth[g])[:rule.top_groups] if rule.groups > 1 else [0]
    candidates = [e for e in range(len(judged)) if e // size in best]
    chosen = sorted(candidates, key=lambda e: -judged[e])[:rule.top_k]
    weights = [scores[e] for e in chosen]
    if rule.scoring is Scoring.SOFTMAX_CHOSEN:
        weights = softmax(weights)
    if rule.normalise:
        weights = [weight / sum(weights) for weight in weights]
    return chosen, [weight * rule.scaling for weight in weights]


RULES = {
    "mixtral": Rule(top_k=2),
    "qwen2": Rule(top_k=4, normalise=False),
    "gpt-oss": Rule(top_k=4, scoring=Scoring.SOFTMAX_CHOSEN, normalise=False),
    "deepseek-v2": Rule(top_k=3, groups=4, top_groups=2, normalise=False, scaling=16.0),
    "deepseek-v3": Rule(top_k=4, scoring=Scoring.SIGMOID, groups=4, top_groups=2, group_score=GroupScore.TOP2, scaling=2.5),
    "deepseek-v4": Rule(top_k=6, scoring=Scoring.SQRT_SOFTPLUS, scaling=1.5),
}


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("name", RULES)
def test_against_one_token_at_a_time(name, corrected):
    """Experts equal, weights as near as float32."""
    rule, rng = RULES[name], np.random.default_rng(7)
    print("seed 7")
    weight, bias = rng.standard_normal((EXPERTS, D_MODEL)).astype(np.float32), rng.standard_normal(EXPERTS).astype(np.float32)
    correction = (0.3 * rng.standard_normal(EXPERTS)).astype(np.float32) if corrected else None
    x = rng.standard_normal((TOKENS, D_MODEL)).astype(np.float32)
    gate = Router(rule=rule, weight=weight, bias=bias, correction=correction).choose(x)
    assert gate.experts == EXPERTS
    for token in range(TOKENS):
        logits = [sum(float(a) * float(b) for a, b in zip(x[token], row, strict=True)) + float(c)
                  for row, c in zip(weight, bias, strict=True)]
        ids, weights = one_token(logits, rule, None if correction is None else correction.tolist())
        assert gate.topk_ids[token].tolist() == ids
        np.testing.assert_allclose(gate.topk_weights[token], weights, rtol=1e-6)


def test_the_correction_chooses_and_does_not_weigh():
    """Expert 2 is chosen only because of its correction; its weight is its own score."""
    router = Router(rule=Rule(top_k=1, scoring=Scoring.SIGMOID, normalise=False), weight=np.eye(3, dtype=np.float32),
                    correction=np.array([0, 0, 5], dtype=np.float32))
    gate = router.choose(np.array([[3, 0, -1]], dtype=np.float32))
    assert gate.topk_ids.tolist() == [[2]]
    np.testing.assert_allclose(gate.topk_weights, [[1 / (1 + math.e)]], rtol=1e-6)


@pytest.mark.parametrize(("logits", "ids", "weights"), [
    # all others are far below the first, and below the second: both weigh 1
    ([8, 4, 1, -2], [0, 1], [1, 1]),
    # the first two are within 2 % of the first: they share the first softmax; then the second stands alone
    ([100, 99, 10, 0], [0, 1], [1 / (1 + math.exp(-1)), 1]),
    # the second and third are near each other
    ([9, 5, 4.95, 1], [0, 1], [1, 1 / (1 + math.exp(-0.05))]),
])
def test_sparsemixer(logits, ids, weights):
    """Two softmaxes, over what is near the largest logit of what is left; weights are not normalised."""
    router = Router(rule=Rule(top_k=2, scoring=Scoring.SPARSEMIXER, normalise=False), weight=np.eye(4, dtype=np.float32))
    gate = router.choose(np.array([logits], dtype=np.float32))
    assert gate.topk_ids.tolist() == [ids]
    np.testing.assert_allclose(gate.topk_weights, [weights], rtol=1e-5)


def test_equal_scores_go_to_the_lower_number():
    """So that the choice is the same everywhere."""
    gate = Router(rule=Rule(top_k=2), weight=np.zeros((4, 2), dtype=np.float32)).choose(np.ones((1, 2), dtype=np.float32))
    assert gate.topk_ids.tolist() == [[0, 1]]


@pytest.mark.parametrize(("values", "named"), [
    ({"top_groups": 2}, "topk_group = 2"), ({"scaling": 0.0}, "routed_scaling_factor = 0.0"),
    ({"scaling": math.nan}, "routed_scaling_factor = nan"), ({"scoring": Scoring.SPARSEMIXER, "top_k": 3}, "top_k = 3"),
    ({"jitter": -1.0}, "router_jitter_noise = -1.0"), ({"identity": -1}, "zero_expert_num = -1"),
    ({"on_input": True}, "top_k = 2 is not legal with weights on the input")])
def test_rules_that_cannot_be(values, named):
    with pytest.raises(ValueError, match=named):
        Rule(**{"top_k": 2} | values)


@pytest.mark.parametrize(("values", "named"), [
    ({"groups": 5}, "n_group = 5"), ({"top_k": 13}, "top_k = 13"), ({"top_k": 4, "groups": 4}, "top_k = 4"),
    ({"groups": 12, "group_score": GroupScore.TOP2, "top_k": 1}, "n_group = 12")])
def test_rules_that_do_not_fit_the_experts(values, named):
    with pytest.raises(ValueError, match=named):
        Rule(**{"top_k": 2} | values).check(EXPERTS)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_comes_back(name):
    """As JSON holds it."""
    assert rule_of(RULES[name].as_dict) == RULES[name]


@pytest.mark.parametrize("values", [{}, {"scoring": "other", "group_score": "max", "top_k": 1},
                                    RULES["qwen2"].as_dict | {"x": 1}])
def test_what_is_no_rule(values):
    with pytest.raises(ValueError, match=r"legal|valid"):
        rule_of(values)


def test_the_weight_of_the_shared_expert():
    """1, or the sigmoid of its own gate."""
    x = np.array([[1, 0], [0, 1]], dtype=np.float32)
    assert shared_weight(x, None).tolist() == [1, 1]
    np.testing.assert_allclose(shared_weight(x, np.array([0, 1], np.float32)), [.5, 1 / (1 + math.exp(-1))], rtol=1e-6)


def test_identities_are_no_choices():
    """They come after the experts, and their weights are those of the token itself."""
    weight = np.array([[3], [1], [2], [0]], dtype=np.float32)
    router = Router(rule=Rule(top_k=3, scoring=Scoring.SIGMOID, normalise=False, scaling=2.0, identity=2), weight=weight)
    gate = router.choose(np.ones((1, 1), dtype=np.float32))
    one, two, three = (2 / (1 + math.exp(-z)) for z in (1, 2, 3))
    assert gate.topk_ids.tolist() == [[0, -1, 1]] and gate.experts == 2
    np.testing.assert_allclose(gate.topk_weights, [[three, 0, one]], rtol=1e-6)
    np.testing.assert_allclose(gate.identity, [two], rtol=1e-6)
    assert Router(rule=Rule(top_k=1), weight=weight).choose(np.ones((1, 1), dtype=np.float32)).identity is None


def test_groups_and_choices_count_identities():
    Rule(top_k=5, identity=2).check(3)
    with pytest.raises(ValueError, match="top_k = 5 is not legal; legal values: 1 to 4"):
        Rule(top_k=5, identity=1).check(3)
