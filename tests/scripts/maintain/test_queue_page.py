"""The table of batches one after the other: its figures, and its place on the page."""

import pytest

from trajectile.scripts.maintain import pages, queue_page
from trajectile.sw_model.schedule.scheduler import roofline
from trajectile.sw_model.timeline.model import simulate


def test_a_row():
    """The parts of one batch add up; in a queue a batch takes as long as by itself, with two in flight less."""
    cells = [cell.replace(",", "") for cell in queue_page.row("demo", (), 16)]
    tokens, cycles, first, streaming, after = map(int, cells[:5])
    assert tokens == 16 and cycles == first + streaming + after and min(first, after) > 0
    plan, *_ = queue_page.plans_of("demo", (), 16, 1)
    assert cycles == simulate(plan).cycles and float(cells[5]) == round(cycles / roofline(plan).cycles, 3)
    alone, one, two = map(float, cells[5:])
    assert abs(one - alone) < 0.02 and two < one


def test_one_in_flight_is_one_after_the_other():
    """Nothing of a batch happens before the one before is complete, but that its doorbell is rung."""
    plans = queue_page.plans_of("demo", (), 4, 1)
    line = simulate(plans)
    for before, after in zip(line.batches, line.batches[1:], strict=False):
        assert all(then.begin > now.complete for now, then in zip(before, after, strict=True))


def test_two_batches_as_one():
    """Experts that both want are read once; the cycles are those of the queues."""
    tokens, half, experts, whole, of_both, gain = (
        float(cell.replace(",", "")) for cell in queue_page.halves("demo", (), 8))
    assert tokens == 8 and experts < of_both < 2 * experts and 1 < gain == pytest.approx(half / whole, abs=0.01)
    plans = queue_page.plans_of("demo", (), 8, 2)
    assert half == pytest.approx(queue_page.queued(plans) * sum(roofline(plan).cycles for plan in plans[1:]) / 8 / 4, abs=0.5)


def test_the_page_has_the_table_of_two():
    """One row for each size."""
    stands = [line.split("|") for line in pages.read_part(queue_page.PAGE, queue_page.MERGED).strip().splitlines()]
    made = [line.split("|") for line in queue_page.merged(sizes=queue_page.HALVES[:1]).splitlines()]
    assert stands[:3] == made[:3]
    assert [cells[1].strip() for cells in stands[2:]] == [f"{tokens:,}" for tokens in queue_page.HALVES]


def test_the_page_has_the_table():
    """One row for each size; ``python -m trajectile.scripts.maintain.queue_page`` writes it anew."""
    stands = [line.split("|") for line in pages.read_part(queue_page.PAGE, queue_page.PART).strip().splitlines()]
    made = [line.split("|") for line in queue_page.markdown(sizes=queue_page.TOKENS[:2]).splitlines()]
    assert stands[:4] == made[:4]
    assert [cells[1].strip() for cells in stands[2:]] == [f"{tokens:,}" for tokens in queue_page.TOKENS]
