"""Tiles with clocks of their own: exact whatever the clocks are, whoever resets or fails, and whenever a die comes."""

import pytest

from tests.support.batches import queued, simulated, synthetic
from tests.support.configurations import TINY, small
from tests.support.dies import CONFIGS, KINDS, LASTING, Ground, campaign
from trajectile.hw.design import design
from trajectile.scripts.flow.simulation import Simulation
from trajectile.sw_model.config import ConfigError, load
from trajectile.tb import clocks

#: seeds of the campaign in each configuration (regress)
SEEDS = 350
#: how much longer than with a common clock the slowest tile may take: the crossings of a request and its slice, and clocks
#: that are off
MOST = 1.1


def dies(done: Simulation) -> dict:
    """What is the same in every good run; the summary."""
    values = done.summary()
    assert done.exact, (done.first.results.message, done.first.events.message)
    assert values["results_exact"] and values["events_in_order"] and values["events_exact"] is None
    assert values["cycles_rtl"] == max(values["cycles_by_tile"]) and len(values["clocks"]) == done.config.array.tiles
    assert done.roofline.cycles < values["cycles_rtl"] < MOST * values["cycles_common"]
    for counter, golden in (("COUNT_DDR_BEAT", done.model.ddr_beats), ("COUNT_WORD", done.model.mac_busy),
                            ("COUNT_FLIT_OUT", done.model.flits)):
        assert [counters[counter] for counters in done.first.counters] == list(golden)
    return values


def test_a_few_seeds(tmp_path):
    """The beginning of the campaign: every kind of it, with and without faults of links. Then links that die for good."""
    ground = Ground.make(CONFIGS["1x2"], tmp_path)
    seen = campaign(ground, range(5 * len(KINDS)))
    assert all(0 < counts["hurt"] < counts["runs"] for counts in seen.values())
    assert campaign(ground, range(3), LASTING)["dies"] == {"runs": 3, "hurt": 3}


@pytest.mark.regress
@pytest.mark.parametrize("number", range(len(CONFIGS)), ids=CONFIGS)
def test_campaign(number, tmp_path):
    """Random clocks, faults, resets, failures and late dies on every kind of ring; links that die for good."""
    ground = Ground.make(list(CONFIGS.values())[number], tmp_path)
    seen = campaign(ground, range(1000 + SEEDS * number, 1000 + SEEDS * (number + 1)))
    assert all(counts["runs"] == SEEDS // len(KINDS) for counts in seen.values())
    assert campaign(ground, range(SEEDS // len(KINDS)), LASTING)["dies"]["runs"] == SEEDS // len(KINDS)


@pytest.mark.parametrize("simulator", [pytest.param("verilator", marks=pytest.mark.regress), "icarus"])
def test_under_cocotb(simulator, icarus, tmp_path):
    """The same in Verilator and in Icarus, which begins with x; two batches, one after the other."""
    config = small(**TINY | {"link__crc_bits": 16, "array__clocks": "independent"})
    values = dies(simulated(config, queued(config, [4, 3], 7), tmp_path, simulator=simulator))
    assert values["batches"] == 2


@pytest.mark.regress
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dataflow", ["spread", "shared"])
def test_dataflows(dataflow, seed, tmp_path):
    """Whatever travels."""
    config = load("smoke", ["link.crc_bits=16", "array.clocks=independent", "tile.batches=2"])
    tokens = config.tile.tokens if dataflow == "shared" else config.token_capacity
    dies(simulated(config, synthetic(config, tokens, seed), tmp_path, simulator="native", dataflow=dataflow))


def test_drawn():
    """The same seed gives the same clocks, all within the limit; another seed gives others."""
    one = clocks.draw(16, 3)
    assert one == clocks.draw(16, 3) != clocks.draw(16, 4)
    for clock in one:
        assert abs(clock.period_fs - clocks.NOMINAL_FS) + clock.drift_fs <= clocks.NOMINAL_FS * clocks.PPM / 1e6 + 1
    assert max(abs(clock.ppm) for clock in clocks.draw(16, 3, 10_000.0)) > 1_000


def test_no_wires_between_dies():
    """A die has nothing but its links, and no link layer is no crossing."""
    config = small(link__crc_bits=16, array__clocks="independent")
    members = design(config, timing_only=True).components["trajectile_tile"].signature.members
    assert not {"halt", "halt_out", "reset", "reset_out"} & set(members)
    with pytest.raises(ConfigError, match=r"array\.clocks = .* legal values: common with link\.crc_bits = 0"):
        small(array__clocks="independent")
    with pytest.raises(ConfigError, match="one of common, independent"):
        small(array__clocks="two")


def test_common_is_as_it_was():
    """Nothing of all this is in an array with a common clock."""
    text = "\n".join(design(small(link__crc_bits=16)).modules.values())
    assert not [word for word in ("crossing", "epoch", "training", "restart", "news", "rx__clk") if word in text]
