"""What completion records say: at the end of a run it is all that was done; in between, counted cycle by cycle."""

import pytest

from tests.support.choices import draw
from tests.support.configurations import small
from trajectile.sw_model.latencies import COUNTER_CYCLES
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.activity import busy_spans
from trajectile.sw_model.timeline.completions import told
from trajectile.sw_model.timeline.model import simulate


@pytest.fixture(scope="module", params=[4, 32, 128])
def line(request):
    """Three batches, two in flight."""
    config = small(tile__batches=2, array__cols=3, array__ddr_tiles=(0, 1), tile__slots=4, io__bytes_per_cycle=request.param)
    return simulate([schedule(config, draw(config, tokens, tokens)) for tokens in (6, 11, 4)])


def test_the_last_records_say_all(line):
    """Counters are totals; cycles are nearly those to the completion."""
    for tile in range(3):
        record, times = told(line, 2, tile), line.batches[2][tile]
        kinds = [event.kind for event in line.events if event.tile == tile]
        cuts = sum(event.kind == "send" and event.flags >= 2 for event in line.events if event.tile == tile)
        assert record.counters == (line.ddr_beats[tile], line.mac_busy[tile], line.flits[tile], kinds.count("load"),
                                   kinds.count("compute"), kinds.count("send"), cuts, kinds.count("grant"))
        waits = 64 // line.config.io.bytes_per_cycle + line.config.io.latency_cycles + 2
        assert times.complete - waits <= times.doorbell + record.cycles < times.complete - line.config.io.latency_cycles


def test_what_others_do_at_the_same_time_is_counted(line):
    """The first record is written while the second batch streams: beats and flits so far, from the spans of their use."""
    config, between = line.config, 0
    for tile in range(3):
        record, times = told(line, 0, tile), line.batches[0][tile]
        for number, name, total in ((0, "DDR", line.ddr_beats[tile]), (2, "D2D", line.flits[tile])):
            now = times.record + 4 * (5 + number) // config.io.bytes_per_cycle - COUNTER_CYCLES
            spans = busy_spans(config, line.events, tile)[name]
            assert record.counters[number] == sum(cycle <= now for first, length in spans
                                                  for cycle in range(first, first + length))
            between += 0 < record.counters[number] < total
    assert between


def test_first_load_and_streaming(line):
    """Of the tile itself; one without a channel has no first load."""
    for batch in range(3):
        for tile, times in enumerate(line.batches[batch]):
            record = told(line, batch, tile)
            assert record.first_load == (0 if tile == 2 else times.first_load - times.doorbell) >= 0
            assert times.doorbell + record.first_load + record.streaming == times.last_release


def test_flits_of_records_and_sums_are_counted():
    """With those of slices, up to the same cycle; the last record has them all."""
    config = small(tile__batches=2, array__dataflows="both", io__bytes_per_cycle=4)
    line = simulate([schedule(config, draw(config, 6, number), dataflow=flow)
                     for number, flow in enumerate(("spread", "shared", "spread", "shared"))])
    between = 0
    for tile in range(2):
        assert told(line, 3, tile).counters[2] == line.flits[tile] > len(line.token_flits[tile]) > 0
        for batch in range(3):
            now = line.batches[batch][tile].record + 4 * (5 + 2) // 4 - COUNTER_CYCLES
            spans = busy_spans(config, line.events, tile)["D2D"]
            others = sum(cycle <= now for cycle in line.token_flits[tile])
            assert told(line, batch, tile).counters[2] == others + sum(
                cycle <= now for first, length in spans for cycle in range(first, first + length))
            between += 0 < others < len(line.token_flits[tile])
    assert between
