"""The tour: page and pictures are what the simulator says today, and what they name exists."""

import re
from xml.etree import ElementTree

import pytest

from tests.support.choices import draw
from trajectile.scripts.maintain.tour import page as tour
from trajectile.sw_model.config import load
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import simulate


def test_the_page_is_current():
    """Text and pictures; after a change of the timing they are written again."""
    for name, text in tour.files().items():
        assert (tour.DOCS / name).read_text(encoding="utf-8") == text, f"{name}: python -m trajectile.scripts.maintain.tour"


def test_what_it_names_exists():
    """Files behind the links, anchors in them, pictures that are XML with a name for those who do not see them."""
    page = (tour.DOCS / "tour.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert len(links) > 30
    for link in links:
        path, _, anchor = link.partition("#")
        if not link.startswith("http"):
            text = (tour.DOCS / path).read_text(encoding="utf-8")
            assert not anchor or f"## {anchor.replace('-', ' ')}" in text.lower()
            if path.endswith(".svg"):
                root = ElementTree.fromstring(text)
                assert root[0].tag.endswith("title") and root[1].tag.endswith("desc") and root[1].text
    for rule in range(1, 6):
        assert f"**Rule {rule}, " in page


def test_a_batch_without_the_story():
    """Where no slice shows all rules the page cannot be written, and says so."""
    config = load(tour.PRESET, ["layer.top_k=1", "layer.experts=1"])
    plan = schedule(config, draw(config, 1, 1))
    with pytest.raises(ValueError, match="no slice shows all five rules"):
        tour.story(plan, simulate(plan))


def test_lists_and_picks():
    """Lists hold the choices of the tile's tokens, each once; the scores are those that the schedule's picks follow from."""
    plan, line = tour.batch()
    told = tour.story(plan, line)
    tile = told["first"].tile
    held = [(row["expert"], token) for row in told["lists"] for lane in row["lanes"] for token in lane]
    assert sorted(held) == sorted((expert, token) for token in told["tiles"][tile]["tokens"]
                                  for expert in plan.topk_ids[token].tolist())
    first, second = plan.expert_order[:2]
    assert first == min(range(8), key=lambda expert: (told["scores"][0][expert], expert))
    assert second == min(set(range(8)) - {first}, key=lambda expert: (told["scores"][1][expert], expert))


def test_latencies_that_it_adds_up():
    """They are those of the batch that it shows: a pass, a request to the next tile, a header that goes on at once."""
    told = tour.story(*tour.batch())
    config, way, first = told["config"], told["way"], told["first"]
    words = config.parameter_words + config.gate_up_words + config.down_words
    assert told["one_pass"] == told["setup"] + words + told["drain"]
    assert told["one_pass"] == first.computed - first.compute + 1 and told["passes"][first.tile] == 1
    assert way[1].begin == first.filled + 1 + told["control"]
    cut = next(number for number, visit in enumerate(way) if visit.cut)
    assert way[cut].send == way[cut - 1].send + told["header"]
