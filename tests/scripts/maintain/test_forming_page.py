"""The closed form of how long a batch takes to form itself, against the timeline; the page has the table."""

import numpy as np
import pytest

from tests.support.choices import draw
from tests.support.configurations import random_config
from trajectile.scripts.maintain import forming_page, pages
from trajectile.sw_model.config import load
from trajectile.sw_model.schedule.placement import dealt
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import simulate


@pytest.mark.parametrize("config", [*map(random_config, range(60)), load("demo"), load("qwen3-30b-a3b"), load("deepseek-v3")],
                         ids=lambda config: config.name)
def test_the_closed_form(config):
    """Between it and what words that meet can cost; from the counts to the first address it is exact."""
    tokens = int(np.random.default_rng(1).integers(1, min(config.tile.tokens, 8) + 1))
    everywhere = tokens * config.array.tiles
    plan = schedule(config, draw(config, everywhere, 1), records=dealt(config, everywhere))
    line = simulate(plan, record=False)
    late = max(tile.formed for tile in line.batches[0]) - forming_page.exchanged(config, tokens)
    assert 0 <= late <= forming_page.meetings(config)
    assert line.first_load_cycles <= forming_page.first_address(config, tokens) + late
    if config.array.channels == config.array.tiles and len({tile.formed for tile in line.batches[0]}) == 1:
        assert line.first_load_cycles == forming_page.first_address(config, tokens) + late


def test_the_page_shows_the_table():
    """docs/scheduling.md; ``python -m trajectile.scripts.maintain.forming_page`` writes it anew."""
    assert pages.read_part(forming_page.PAGE, forming_page.PART).strip() == forming_page.markdown().strip()
