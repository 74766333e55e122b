"""The pages say what the timing contract says."""

import re

from tests.support.paths import ROOT
from trajectile.scripts.maintain import latency_page, pages
from trajectile.sw_model import latencies


def test_the_table():
    """docs/architecture.md has it; ``python -m trajectile.scripts.maintain.latency_page`` writes it anew."""
    assert pages.read_part(latency_page.PAGE, latency_page.PART).strip() == latency_page.markdown().strip()


def said(page, pattern):
    """The one number at a place of a page."""
    number, = re.findall(pattern, " ".join((ROOT / "docs" / page).read_text(encoding="utf-8").split()))
    return int(number)


def test_numbers_in_sentences():
    """Of the pages that name them."""
    assert said("architecture.md", r"`swiglu_drain_cycles` = mac_n/2 \+ (\d+)") == latencies.SWIGLU_DRAIN_CYCLES
    assert said("architecture.md", r"`RESULT_WRITE_CYCLES` = (\d+) cycles before") == latencies.RESULT_WRITE_CYCLES
    assert said("architecture.md", r"`link.latency_cycles`, and (\d+) more with a link layer") == latencies.LINK_LAYER_CYCLES
    assert said("link.md", r"`LINK_LAYER_CYCLES` = (\d+)") == latencies.LINK_LAYER_CYCLES
    assert said("integration.md", r"response valid from c\+(\d+) on") == latencies.HOST_CYCLES
    assert said("integration.md", r"up to (\d+) cycles later if") == latencies.OTHER_ACCESS_CYCLES
