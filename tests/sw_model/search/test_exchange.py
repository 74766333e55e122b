"""The search of the count exchange: what it finds, what it must find, and what it looks at."""

import re

import pytest

from tests.support.paths import DOCS
from tests.support.states import reachable
from trajectile.sw_model.search.exchange import Exchange, search_exchange
from trajectile.sw_model.search.walk import walk

regress = pytest.mark.regress


@pytest.mark.parametrize(("tiles", "words", "batches"), [
    (2, 1, 1), (2, 1, 2), (2, 3, 1), (2, 3, 2), (3, 1, 1), (3, 1, 2), (3, 2, 1),
    *(pytest.param(*ring, marks=regress) for ring in ((3, 2, 2), (4, 1, 2)))])
def test_no_count_is_overwritten(tiles, words, batches):
    """Whatever is late."""
    found = search_exchange(tiles, words, batches=batches)
    print(found)
    assert not found.found


@pytest.mark.parametrize("tiles", [2, 3])
def test_without_rule_r_they_are(tiles):
    """It is not enough that all counts of the batch before are here: load entries are still made of them."""
    found = search_exchange(tiles, 1, rule="formed")
    print(found)
    assert "written over" in found.found and "made its entries" not in found.run[-1][0]
    # with one batch in flight a tile has made its entries in any case when the next one begins
    assert not search_exchange(tiles, 1, batches=1, rule="formed").found


@pytest.mark.parametrize("tiles", [2, 3])
def test_without_any_rule_words_get_mixed_up(tiles):
    """Words of a batch come before all of the batch before have come."""
    found = search_exchange(tiles, 1, rule="none")
    print(found)
    assert "before all of batch" in found.found


@pytest.mark.parametrize("tiles", [2, 3])
def test_one_bank_is_too_little(tiles):
    """A tile that has made its entries sends new counts to one that has not."""
    found = search_exchange(tiles, 1, banks=1)
    print(found)
    assert "written over" in found.found
    assert all(name for name, _ in found.run) and len(str(found).splitlines()) == 1 + len(found.run)


class Unturned(Exchange):
    """States are kept as they are, but for the numbers of the batches."""

    def canonical(self, tiles):
        first = list(tiles)
        base = min(tile.ended for tile in first)
        return tuple(tile._replace(ended=tile.ended - base, made=tile.made - base, sent=tile.sent - base * self.words,
                                   come=tuple(come - base * self.words for come in tile.come)) for tile in first)


@pytest.mark.parametrize(("tiles", "words", "batches"), [(2, 2, 2), (3, 1, 2)])
def test_rotations_leave_nothing_out(tiles, words, batches):
    """The states are those of the search without symmetry, turned."""
    exchange = Exchange(tiles, words, batches, 2, "made")
    every = reachable(Unturned(tiles, words, batches, 2, "made"))
    assert {exchange.canonical(list(state)) for state in every} == reachable(exchange)
    assert len(every) > len(reachable(exchange))


def test_what_is_late_is_looked_at():
    """Counts of the next batch have come to a tile that has not made its entries of this one; words wait in a row."""
    states = reachable(Exchange(3, 1, 2, 2, "made"))
    assert any(tile.made == 0 and tile.come[0] == 2 for state in states for tile in state)
    assert any(tile.link == (0, 1) for state in states for tile in state)


@pytest.mark.parametrize("arguments", [{"tiles": 1}, {"words": 0}, {"banks": 0}, {"batches": 0}, {"rule": "never"}])
def test_rings_that_are_none(arguments):
    """What is legal is said."""
    with pytest.raises(ValueError, match="legal"):
        search_exchange(**{"tiles": 2, "words": 1} | arguments)


def test_the_walk_itself():
    """A shortest run; all states; it gives up where it is told to."""
    def steps(number):
        return ((f"+{step}", number + step) for step in (3, 7) if number + step <= 100)

    sums = {3 * a + 7 * b for a in range(34) for b in range(15) if 3 * a + 7 * b <= 100}
    assert walk(0, steps, lambda _: "", 1000).states == len(sums)
    found = walk(0, steps, lambda number: "there" if number == 23 else "", 1000)
    assert [name for name, _ in found.run].count("+7") == 2 and len(found.run) == 5 and found.run[-1][1] == 23
    with pytest.raises(MemoryError, match="10 states"):
        walk(0, steps, lambda _: "", 10)


def test_page_has_the_figures():
    """docs/rules.md: the rings that take no time."""
    page = (DOCS / "rules.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| (\d) \| (\d) \| ([\d,]+) \| none \|$", page, re.M)
    few = [row for row in rows if len(row[3]) < 6]
    assert len(few) > 3
    for tiles, words, batches, states in few:
        assert search_exchange(int(tiles), int(words), batches=int(batches)).states == int(states.replace(",", ""))
