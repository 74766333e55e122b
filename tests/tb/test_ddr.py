"""Real DDR controllers and several ports behind the tiles: LiteDRAM with refresh, and the splitter before models."""

import pytest

from tests.support.batches import exact, simulated, synthetic
from tests.support.configurations import small
from tests.support.tools import require_litedram
from trajectile.scripts.flow.simulation import DDR_CORES
from trajectile.sw_model.config import load

#: of each memory a configuration whose slices change rows and banks, with as many ports
KINDS = [pytest.param("litedram-lpddr", 2, 2), pytest.param("litedram-lpddr", 1, 2, marks=pytest.mark.regress),
         pytest.param("litedram-ddr3", 1, 4, marks=pytest.mark.regress),
         pytest.param("litedram-ddr3", 2, 4, marks=pytest.mark.regress),
         pytest.param("litedram-ddr4", 4, 4, marks=pytest.mark.regress)]


@pytest.mark.regress
@pytest.mark.parametrize("ports", [2, 4])
def test_several_ports_change_no_cycle(ports, tmp_path):
    """Results, events and cycles are those of one port, with a channel that answers in the order of the addresses."""
    config = small(ddr__ports=ports, ddr__bytes_per_cycle=1, layer__d_model=40, tile__batches=2)
    assert config.slice_bursts > 1
    exact(config, synthetic(config, 9, ports), tmp_path)


@pytest.mark.parametrize(("ddr", "ports", "width"), KINDS)
def test_results_with_litedram(ddr, ports, width, tmp_path):
    """The real weights lie in the modelled DRAM: results are exact, and nothing says that events are."""
    require_litedram()
    config = load("demo" if width == 4 else "smoke", [f"ddr.bytes_per_cycle={width}", f"ddr.ports={ports}"])
    done = simulated(config, synthetic(config, min(16, config.token_capacity), 3), tmp_path, ddr=ddr)
    assert done.first.results, done.first.results.message
    assert [count["COUNT_DDR_BEAT"] for count in done.first.counters] == list(done.model.ddr_beats)
    values = done.summary()
    assert values["results_exact"] is True and values["events_exact"] is None and "not compared" in values["events"]
    assert values["ddr"] == ddr and 0.2 < values["ddr_share_of_peak"] < 1
    assert values["roofline_refresh_cycles"] > values["roofline_cycles"]
    assert done.config.ddr.pauses and not config.ddr.pauses
    assert list(DDR_CORES).count(ddr) == 1
