"""The goodput bench: full rate without errors, the predicted share with them; its scoreboard sees what gets through."""

import pytest

from tests.support.configurations import small
from trajectile.hw.params import Params
from trajectile.sw_model.timeline import goodput as link
from trajectile.tb import link_bench
from trajectile.tb.faults import NEVER, LinkFaults

CYCLES = 100_000


@pytest.fixture(scope="module", params=["spread", "both"])
def config(request):
    return small(array__dataflows=request.param, link__crc_bits=16)


@pytest.fixture(scope="module")
def built(config):
    return link_bench.build(config)


@pytest.fixture
def measure(built, tmp_path):
    """Measures on the bench."""
    def measuring(cycles=CYCLES, seed=1, **what):
        print(f"seed {seed}")
        return link_bench.measure(built, tmp_path, LinkFaults(**what), cycles=cycles, seed=seed)
    return measuring


def test_full_rate(measure):
    """Without errors a flit per cycle and direction, no replay."""
    seen = measure(cycles=5000)
    assert (seen.cycles, seen.flits, seen.goodput, seen.replays, seen.bad) == (5000, 10_000, 1.0, 0, 0)
    assert seen.ended and not seen.down and seen.undetected == 0


@pytest.mark.parametrize("ber", [1e-5, 1e-4, 1e-3])
def test_goodput_is_as_predicted(measure, config, ber):
    """Within the band of the formula, but for what a sample of so many errors may be off."""
    seen = measure(ber=ber)
    least, most = link.goodput(config, ber, Params(config).frame_bits)
    off = 3 / sum(did.hurt for did in seen.injected) ** 0.5
    assert 1 - (1 - least) * (1 + off) <= seen.goodput <= 1 - (1 - most) * (1 - off) < 1
    assert seen.undetected == 0 and seen.ended and not seen.down
    assert 0 < seen.replays <= seen.bad == pytest.approx(sum(did.hurt for did in seen.injected), rel=0.01, abs=2)


@pytest.mark.parametrize("what", [{"drop": 0.1}, {"repeat": 0.2, "repeat_back": 15}, {"burst": 0.01, "burst_bits": 16},
                                  {"errors": 0.1, "errors_bits": 3}], ids=lambda what: "-".join(what))
def test_everything_comes(measure, what):
    """Faults that the CRC or the sequence numbers surely find."""
    seen = measure(**what)
    assert seen.undetected == 0 and seen.ended and not seen.down and 0 < seen.goodput < 1
    assert sum(did.hurt for did in seen.injected) > CYCLES / 100


def test_the_scoreboard_sees_what_gets_through(measure):
    """Four wrong bits in every tenth frame: a CRC of 16 bits misses one in 2^15 of them."""
    assert 0 < measure(cycles=400_000, errors=0.1, errors_bits=4).undetected < 50


@pytest.mark.parametrize("link_number", [0, 1])
def test_a_dead_link_is_found_down(measure, config, link_number):
    """In bounded time, and nothing wrong has come."""
    seen = measure(link=link_number, dead_cycles=(1000, NEVER))
    assert seen.down and seen.ended and seen.undetected == 0
    assert 1000 < seen.cycles < 1000 + config.link_down_cycles + 100
