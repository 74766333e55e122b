"""A campaign of faults on links: which configurations, what a seed does to them, and what must hold afterwards."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.support.batches import simulated, synthetic
from tests.support.configurations import small
from trajectile.hw.params import Params
from trajectile.scripts.flow.outcomes import Outcome
from trajectile.scripts.flow.simulation import Simulation
from trajectile.sw_model.config import Config
from trajectile.sw_model.config.topology import links
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import simulate as model_timeline
from trajectile.tb.faults import DEAD_VALUES, NEVER, LinkFaults
from trajectile.tb.job import Run
from trajectile.tb.scoreboard import lives

#: small arrays of every kind of ring, both CRCs, flits of even and odd width, few and many retries
CONFIGS = {
    "1x2": small(link__crc_bits=16),
    "1x2, odd flits": small(link__crc_bits=16, link__beat_bytes=3, link__latency_cycles=5, tile__slots=2, link__retries=16),
    "1x2, CRC-32": small(link__crc_bits=32, link__beat_bytes=1, link__latency_cycles=1, link__retries=16),
    "2x2": small(array__rows=2, array__ddr_tiles=(0, 1, 3), link__crc_bits=32, link__beat_bytes=5, tile__slots=4),
    "1x3, over tiles between": small(array__cols=3, array__ddr_tiles=(0, 2), link__crc_bits=32, link__beat_bytes=7,
                                     link__retries=16),
}


def _flips(rng: np.random.Generator, config: Config, cycles: int) -> tuple[LinkFaults, ...]:
    return (LinkFaults(ber=float(10 ** rng.uniform(-3.5, -3 if config.link.crc_bits == 16 else -2.3))),)


def _errors(rng: np.random.Generator, config: Config, cycles: int) -> tuple[LinkFaults, ...]:
    bits = Params(config).frame_bits
    return (LinkFaults(errors=float(rng.uniform(0.01, 0.1)),
                       errors_bits=int(rng.integers(1, 4 if config.link.crc_bits == 16 else bits + 1))),)


def _bursts(rng: np.random.Generator, config: Config, cycles: int) -> tuple[LinkFaults, ...]:
    if config.link.crc_bits == 16:
        return (LinkFaults(burst=float(rng.uniform(0.005, 0.02)), burst_bits=int(rng.integers(2, 17))),)
    return (LinkFaults(burst=float(rng.uniform(0.005, 0.03)), burst_bits=int(rng.integers(2, 400))),)


def _losses(rng: np.random.Generator, config: Config, cycles: int) -> tuple[LinkFaults, ...]:
    return (LinkFaults(drop=float(rng.uniform(0.01, 0.2))),)


def _repetitions(rng: np.random.Generator, config: Config, cycles: int) -> tuple[LinkFaults, ...]:
    return (LinkFaults(repeat=float(rng.uniform(0.01, 0.2)), repeat_back=int(rng.integers(1, 16))),)


def _everything(rng: np.random.Generator, config: Config, cycles: int) -> tuple[LinkFaults, ...]:
    """Another mix on every link."""
    return tuple(LinkFaults(link=number, ber=float(rng.uniform(0, 3e-4)), drop=float(rng.uniform(0, 0.03)),
                            repeat=float(rng.uniform(0, 0.03)), repeat_back=int(rng.integers(1, 16)),
                            burst=float(rng.uniform(0, 0.005)), burst_bits=int(rng.integers(2, 17)))
                 for number in range(len(links(config.array))))


def _window(rng: np.random.Generator, config: Config, cycles: int) -> tuple[int, int]:
    """When a lasting fault strikes: somewhere in the batch, for some cycles, for longer than a link lasts, or for ever."""
    first = int(rng.integers(0, cycles))
    return first, (first + int(rng.integers(1, 40)), first + 2 * config.link_down_cycles, NEVER)[rng.integers(3)]


def _stuck(rng: np.random.Generator, config: Config, cycles: int) -> tuple[LinkFaults, ...]:
    """No more bits than the CRC is long: a burst that it detects."""
    low = int(rng.integers(Params(config).frame_bits - config.link.crc_bits))
    return (LinkFaults(link=int(rng.integers(len(links(config.array)))),
                       stuck=(low, low + int(rng.integers(config.link.crc_bits))), stuck_at=int(rng.integers(2)),
                       stuck_cycles=_window(rng, config, cycles)),)


def _death(rng: np.random.Generator, config: Config, cycles: int) -> tuple[LinkFaults, ...]:
    values = DEAD_VALUES if config.link.crc_bits == 32 else DEAD_VALUES[:2]
    return (LinkFaults(link=int(rng.integers(len(links(config.array)))), dead=str(rng.choice(values)),
                       dead_cycles=_window(rng, config, cycles)),)


Draw = Callable[[np.random.Generator, Config, int], tuple[LinkFaults, ...]]
#: by name; those that may take a link down come last
KINDS: dict[str, Draw] = {"flips": _flips, "errors": _errors, "bursts": _bursts, "losses": _losses,
                          "repetitions": _repetitions, "everything": _everything, "stuck": _stuck, "death": _death}
LASTING = ("stuck", "death")


def kind_of(seed: int) -> str:
    """What a seed does."""
    return list(KINDS)[seed % len(KINDS)]


def run_of(seed: int, config: Config, cycles: int) -> Run:
    """The run of a seed; one in three of those without a lasting fault has a DDR that hesitates as well."""
    rng, kind = np.random.default_rng(seed), kind_of(seed)
    return Run(seed, stall_ddr=kind not in LASTING and bool(rng.random() < 1 / 3), faults=KINDS[kind](rng, config, cycles))


def check_whole(done: Simulation, outcome: Outcome, *, again: bool = False) -> None:
    """Results exact; every slice loaded, computed at each stop, sent and released as often as in the model: once.

    Counters run on over a reset by register: those of a second try (``again``) are not the model's.
    """
    assert outcome.results, outcome.results.message
    assert outcome.events, outcome.events.message
    assert Counter(e.kind for e in outcome.log) == Counter(e.kind for e in done.model.events)
    assert lives(outcome.log) == lives(done.model.events)
    for counter, golden in (("COUNT_DDR_BEAT", done.model.ddr_beats), ("COUNT_WORD", done.model.mac_busy),
                            ("COUNT_FLIT_OUT", done.model.flits)):
        assert again or [counters[counter] for counters in outcome.counters] == list(golden)


def check_down(done: Simulation, outcome: Outcome) -> None:
    """The end of a link is down, every other tile stopped, and that in bounded time."""
    assert all("LINK_DOWN" in errors or errors == ["STOPPED"] for errors in outcome.errors), outcome.errors
    assert any("LINK_DOWN" in errors for errors in outcome.errors)
    fault = outcome.run.faults[0]
    since = max(fault.stuck_cycles[0], fault.dead_cycles[0])
    # the batch goes on until it needs the link
    assert since <= outcome.cycles <= since + done.model.cycles + done.config.link_down_cycles


def campaign(config: Config, seeds: range, folder: Path, **options: object) -> dict[str, Counter]:
    """Run all seeds in one simulation and check each; how often what happened, by kind.

    Every failure is followed by a reset by register and the same batch without faults, exact to the cycle; every run begins
    with a reset by wire.
    """
    print(f"seeds {seeds}")
    batch = synthetic(config, config.token_capacity, seeds.start)
    cycles = model_timeline(schedule(config, batch.topk_ids, "balanced")).cycles
    runs = [Run(), *(run_of(seed, config, cycles) for seed in seeds)]
    done = simulated(config, batch, folder, runs=runs, **options)
    seen: dict[str, Counter] = {kind: Counter() for kind in KINDS}
    outcomes = iter(done.outcomes)
    check_whole(done, next(outcomes))
    for outcome in outcomes:
        run = outcome.run
        kind = kind_of(run.seed)
        print(f"seed {run.seed}: {kind}, {outcome.cycles} cycles, errors {outcome.errors}, {run.faults}")
        hurt = sum(did.hurt for did in outcome.injected.values())
        assert hurt or kind in LASTING
        seen[kind].update(runs=1, hurt=hurt, failed=outcome.failed)
        for_ever = any(NEVER in (fault.stuck_cycles[1], fault.dead_cycles[1]) for fault in run.faults)
        if not outcome.failed:
            check_whole(done, outcome)
            continue
        assert kind in LASTING, outcome.results.message
        check_down(done, outcome)
        seen[kind].update(failed_for_ever=for_ever)
        second = next(outcomes)
        assert second.run is run and not second.failed
        check_whole(done, second, again=True)
    assert sum(counts["runs"] for counts in seen.values()) == len(seeds)
    for kind, counts in seen.items():
        print(f"{kind}: {counts['runs']} batches, {counts['hurt']} frames hurt, link down in {counts['failed']}")
    return seen
