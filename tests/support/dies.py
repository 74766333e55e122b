"""A campaign on tiles with clocks of their own: what a seed does to clocks, links, resets and dies, and what must hold."""

import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tests.support import link_campaign
from tests.support.batches import synthetic
from tests.support.configurations import TINY, small
from trajectile.hw.design import design
from trajectile.hw.host.codes import ERRORS
from trajectile.hw.host.regmap import RegisterMap
from trajectile.hw.params import Params
from trajectile.scripts.flow import simulation
from trajectile.scripts.flow.outcomes import Golden, written_batch
from trajectile.sw_model.config import Config
from trajectile.sw_model.config.topology import links
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import Event, Timeline
from trajectile.sw_model.timeline.model import simulate as model_timeline
from trajectile.tb import clocks, io_log, native
from trajectile.tb.faults import DEAD_VALUES, NEVER, LinkFaults, write_plan
from trajectile.tb.faulty_link import faulty_link
from trajectile.tb.host_ops import Op, descriptor_ops, doorbell_op, put, setup_ops
from trajectile.tb.job import Descriptor
from trajectile.tb.program import descriptors, write_records
from trajectile.tb.runner import Build
from trajectile.tb.scoreboard import check_order
from trajectile.tb.toolchain import seen_from
from trajectile.tb.top import bench_top

#: small arrays of every kind of ring, both CRCs, one and two batches in flight
CONFIGS = {
    "1x2": small(**TINY | {"link__crc_bits": 16, "array__clocks": "independent"}),
    "2x2": small(**TINY | {"array__rows": 2, "array__ddr_tiles": (0, 1, 3), "link__crc_bits": 32, "link__latency_cycles": 3,
                           "tile__batches": 2, "array__clocks": "independent"}),
    "1x3, over tiles between": small(**TINY | {"array__cols": 3, "array__ddr_tiles": (0, 2), "link__crc_bits": 16,
                                               "array__clocks": "independent"}),
}
#: how far clocks may be off; the wide ones make crossings overflow
PPMS = (100.0, 100.0, 1_000.0, 20_000.0)
#: kinds of faults of links that do not last
FAULTS = tuple(kind for name, kind in link_campaign.KINDS.items() if name not in link_campaign.LASTING)
NAMES = tuple(name for name, _ in ERRORS)


@dataclass(frozen=True)
class Ground:
    """An array with a batch for it, built once for all seeds."""

    config: Config
    golden: Golden
    model: Timeline
    descriptors: Sequence[Descriptor]
    built: Build
    plusargs: Sequence[str]
    folder: Path

    @classmethod
    def make(cls, config: Config, folder: Path, seed: int = 5) -> "Ground":
        """Batch, memories, simulation."""
        folder.mkdir(parents=True, exist_ok=True)
        load = synthetic(config, config.token_capacity, seed)
        plan = schedule(config, load.topk_ids, "balanced")
        made = design(config)
        phy = "trajectile_d2d_link"
        made = replace(made, modules={**made.modules, phy: faulty_link(made.modules[phy], config.link.latency_cycles)})
        built = native.build(made.files(), bench_top(config, held_inputs=True, link_faults=True), config.array.tiles,
                             independent=True, link_faults=True)
        plusargs = [*simulation.write_files(config, load.given, folder), *write_records([plan], [load.given.batch], folder)]
        return cls(config, Golden(plan, load.given.results(config), load.given.layer), model_timeline([plan]),
                   descriptors(plan, 0), built, plusargs, folder)


@dataclass(frozen=True)
class Ran:
    """What came out of a seed."""

    kind: str
    cycles: int
    hurt: bool


class Script:
    """What the hosts of a run do, and what they must read."""

    def __init__(self, ground: Ground, seed: int):
        self.ground, self.rng = ground, random.Random(seed)
        self.config, self.tiles = ground.config, range(ground.config.array.tiles)
        self.registers = RegisterMap(Params(ground.config))
        self.text = ""
        #: of links
        self.faults: tuple[LinkFaults, ...] = ()
        #: what answers mean, by tile in order; each is given what was read
        self.checks: dict[int, list[Callable[[int], None]]] = {tile: [] for tile in self.tiles}
        #: doorbells that rang in each tile since its last ``rst``
        self.rung = Counter[int]()

    def mask(self, register: str, *names: str) -> int:
        """Some fields of a register."""
        return sum(self.registers[register].field(name).mask for name in names)

    def do(self, tile: int, ops: Iterable[Op]) -> None:
        """Accesses that must be accepted; what they read is not looked at."""
        ops = list(ops)
        self.text += native.lines(tile, ops)
        self.checks[tile] += [lambda value: None for op in ops if op.value is None]

    def must(self, tile: int, register: str, check: Callable[[int], bool], what: str) -> None:
        """Read a register, which must be as ``check`` says."""
        def look(value: int) -> None:
            assert check(value), f"tile {tile}: {register} = {value:#x}, not {what}"
        self.text += f"{tile} r {self.registers[register].offset}\n"
        self.checks[tile].append(look)

    def poll(self, tile: int, register: str, value: int, mask: int = 0xFFFFFFFF) -> None:
        """Wait until a register is so."""
        self.text += f"{tile} p {self.registers[register].offset} {value} {mask}\n"

    def delay(self, tile: int, cycles: int) -> None:
        """Let cycles of a tile pass."""
        self.text += f"{tile} d {cycles}\n"

    def set_up(self, tile: int, watchdog: int = 0) -> None:
        """What a host does once after ``rst``; the lists are empty after that."""
        self.do(tile, [*setup_ops(self.registers, tile), put(self.registers, "WATCHDOG", watchdog)])
        self.delay(tile, self.config.layer.experts)

    def ring(self, tile: int, tag: int, *, may_fail: bool = False) -> None:
        """Queue the batch; a doorbell that comes in a reset or after a failure may be refused."""
        descriptor = replace(self.ground.descriptors[tile], tag=tag)
        self.do(tile, descriptor_ops(self.registers, descriptor))
        doorbell = doorbell_op(self.registers, descriptor)
        if may_fail:
            self.text += f"{tile} t {doorbell.address} {doorbell.value}\n"
            self.checks[tile].append(lambda code: self.rung.update({tile: not code}))
        else:
            self.do(tile, [doorbell])

    def reset(self, tile: int, after: int) -> None:
        """CONTROL.RESET, and wait until it is over."""
        self.delay(tile, after)
        self.do(tile, [put(self.registers, "CONTROL", self.mask("CONTROL", "RESET"))])
        self.poll(tile, "STATUS", 0, self.mask("STATUS", "RESETTING"))

    def quiet(self) -> None:
        """All are idle, in the same epoch; every descriptor has had its record, and exactly one."""
        epochs: set[int] = set()
        for tile in self.tiles:
            # a tile whose own reset is over takes batches, and may still wait for news of the others
            self.must(tile, "STATUS", lambda value: not value & ~self.mask("STATUS", "RESETTING"), "idle")

            def same(value: int) -> bool:
                epochs.add(value)
                return bool(value & self.mask("EPOCH", "KNOWN")) and len({one & 0xFF for one in epochs}) == 1
            self.must(tile, "EPOCH", same, "known and the same in all tiles")
            self.all_recorded(tile)
        self.text += "go\n"

    def all_recorded(self, tile: int) -> None:
        """Every descriptor that a tile has taken has had its record, and exactly one."""
        self.must(tile, "COMPLETED", lambda value: value == self.rung[tile], "a record for each descriptor")

    def failed(self, tile: int, *names: str) -> None:
        """It has failed for one of these reasons alone."""
        self.must(tile, "ERROR", lambda value: value in [1 << NAMES.index(name) for name in names], " or ".join(names))

    def good(self) -> None:
        """Begin new logs, and a batch that must be exact."""
        for tile in self.tiles:
            self.do(tile, [put(self.registers, "WATCHDOG", 0)])
        self.text += "mark\n"
        for tile in self.tiles:
            self.delay(tile, self.rng.choice((0, 0, self.rng.randrange(300))))
            self.ring(tile, 0)
        self.text += "go\nwait 1\n"
        for tile in self.tiles:
            self.must(tile, "ERROR", lambda value: value == 0, "no error")
            self.must(tile, "LINK_DOWN", lambda value: value == 0, "no link down")
        self.text += "go\n"


def _moment(script: Script) -> int:
    """Some cycle of a batch, or before or after it."""
    return script.rng.randrange(script.ground.model.cycles + 200)


def _begin(script: Script, watchdog: dict[int, int] | None = None) -> None:
    """All are set up and have a batch."""
    for tile in script.tiles:
        script.set_up(tile, (watchdog or {}).get(tile, 0))
        if script.rng.random() < 0.8:
            script.poll(tile, "EPOCH", script.mask("EPOCH", "KNOWN", "READY"), script.mask("EPOCH", "KNOWN", "READY"))
    script.text += "go\n"


def _plain(script: Script) -> None:
    _begin(script)


def _reset(script: Script) -> None:
    """One host resets in the middle of a batch; it is enough to wait in its tile."""
    _begin(script)
    victim = script.rng.choice(script.tiles)
    for tile in script.tiles:
        script.delay(tile, script.rng.randrange(100))
        script.ring(tile, 1, may_fail=True)
    script.text += "go\n"  # what rings after the reset would be a batch like any other
    script.reset(victim, _moment(script))
    script.text += "go\n"
    script.quiet()


def _resets(script: Script) -> None:
    """Several hosts reset, at the same time or while another's reset is on its way."""
    _begin(script)
    for tile in script.tiles:
        script.ring(tile, 1, may_fail=True)
    script.text += "go\n"
    moment = _moment(script)
    for tile in script.rng.sample(script.tiles, script.rng.randint(2, len(script.tiles))):
        for _ in range(script.rng.randint(1, 3)):
            script.delay(tile, moment + script.rng.randrange(120))
            script.do(tile, [put(script.registers, "CONTROL", script.mask("CONTROL", "RESET"))])
            moment = 0
        moment = 0
    script.text += "go\n"
    for tile in script.tiles:
        script.poll(tile, "STATUS", 0)
    script.text += "go\n"
    script.quiet()


def _rst(script: Script) -> None:
    """The wire ``rst`` of one die alone."""
    _begin(script)
    victim = script.rng.choice(script.tiles)
    for tile in script.tiles:
        script.ring(tile, 1, may_fail=True)
    script.delay(victim, _moment(script))
    script.text += f"{victim} x {script.rng.choice((1, 2, 50, 2000))}\n"
    script.set_up(victim)
    ready = script.mask("EPOCH", "KNOWN", "READY")
    script.text += native.opened_op(script.registers, victim)
    script.poll(victim, "EPOCH", ready, ready)
    script.text += "go\n"
    for tile in script.tiles:
        script.poll(tile, "STATUS", 0)
    script.text += "go\n"
    script.checks[victim].append(lambda value: script.rung.update({victim: -script.rung[victim]}))  # counted since rst
    script.text += f"{victim} r {script.registers['ID'].offset}\ngo\n"
    script.quiet()


def _halt(script: Script) -> None:
    """A tile fails; all others stop, and say why."""
    victim = script.rng.choice(script.tiles)
    _begin(script, {victim: script.rng.randrange(1, 150)})
    for tile in script.tiles:
        script.ring(tile, 1, may_fail=True)
    for tile in script.tiles:
        script.poll(tile, "STATUS", script.mask("STATUS", "FAILED"), script.mask("STATUS", "FAILED", "BUSY"))
    script.text += "go\n"
    for tile in script.tiles:
        script.failed(tile, "WATCHDOG" if tile == victim else "STOPPED")
    script.text += "go\n"
    script.reset(script.rng.choice(script.tiles), 0)
    script.text += "go\n"
    script.quiet()


def _late(script: Script) -> None:
    """A die is switched on late: nobody waits for it to be set up, and to ring."""
    for tile in script.tiles:
        script.set_up(tile)


def _never(script: Script) -> None:
    """A die never comes: all others fail, by their watchdog or because another has."""
    others = list(script.tiles)[:-1]
    for tile in others:
        script.set_up(tile, script.ground.model.cycles + script.rng.randrange(1000))
        script.ring(tile, 1, may_fail=True)
    script.text += "go\n"
    for tile in others:
        script.poll(tile, "STATUS", script.mask("STATUS", "FAILED"), script.mask("STATUS", "FAILED", "BUSY"))
    script.text += "go\n"
    for tile in others:
        script.failed(tile, "WATCHDOG", "STOPPED")
        script.all_recorded(tile)
    script.reset(others[0], 0)
    script.text += "go\n"
    for tile in others:
        script.must(tile, "STATUS", lambda value: not value & ~script.mask("STATUS", "RESETTING"), "idle")
    script.text += "go\n"


def _dies(script: Script) -> None:
    """A link dies in the middle of a batch, one way or both, and does not come back by itself. The batch ends in all tiles:
    with LINK_DOWN at an end of the link, and STOPPED elsewhere; who waits for what does not come, and hears nothing, has
    WATCHDOG. A reset ends whether the link is dead or not. When it is back, another brings all together.
    """
    config, victim = script.config, script.rng.choice(script.tiles)
    limit = 2 * script.ground.model.cycles + 2 * config.link_down_cycles + 2_000
    _begin(script, dict.fromkeys(script.tiles, limit))
    ready = script.mask("EPOCH", "READY")
    for tile in script.tiles:  # a link that has never opened is that of a die that never comes
        script.poll(tile, "EPOCH", ready, ready)
    script.text += "set fault_run 1\n"
    for tile in script.tiles:
        script.ring(tile, 1, may_fail=True)
    for tile in script.tiles:
        script.poll(tile, "STATUS", script.mask("STATUS", "FAILED"), script.mask("STATUS", "FAILED", "BUSY"))
    script.text += "go\n"
    dead = links(config.array)[script.faults[0].link or 0]
    ends = {dead.tile, dead.peer}
    down = set[int]()
    for tile in script.tiles:
        def errors(value: int, tile: int = tile) -> bool:
            names = {name for bit, name in enumerate(NAMES) if value >> bit & 1}
            if "LINK_DOWN" in names:
                down.add(tile)
            return bool(names) and names <= {"STOPPED", "WATCHDOG"} | ({"LINK_DOWN"} if tile in ends else set())
        script.must(tile, "ERROR", errors, "LINK_DOWN, STOPPED or WATCHDOG")
        script.all_recorded(tile)
    script.must(script.tiles[-1], "ID", lambda value: bool(down), "read where an end of the link is down: LINK_DOWN in none")
    script.text += "go\n"
    if script.rng.random() < 0.5:
        script.reset(victim, 0)
        script.must(victim, "STATUS", lambda value: value == 0, "idle")
    script.text += "go\nset fault_run 0\n"
    script.reset(victim, script.rng.randrange(200))
    script.text += "go\n"
    for tile in script.tiles:
        script.poll(tile, "STATUS", 0)
    script.text += "go\n"
    script.quiet()


#: what a seed does, by name
KINDS: dict[str, Callable[[Script], None]] = {
    "plain": _plain, "reset": _reset, "resets": _resets, "rst": _rst, "halt": _halt, "late": _late, "never": _never}
#: and what it does besides, with a link that does not come back
LASTING: dict[str, Callable[[Script], None]] = {"dies": _dies}


def _death(rng: random.Random, config: Config, cycles: int) -> tuple[LinkFaults, ...]:
    """Of one way of a link, or of both."""
    wires = [(link.tile, link.peer) for link in links(config.array)]
    number = rng.randrange(len(wires))
    back = wires.index(wires[number][::-1])
    value, window = rng.choice(DEAD_VALUES[:2]), (rng.randrange(cycles // 3), NEVER)
    return tuple(LinkFaults(link=way, dead=value, dead_cycles=window) for way in rng.choice(((number,), (number, back))))


def run(ground: Ground, seed: int, kinds: Mapping[str, Callable[[Script], None]] = KINDS) -> Ran:
    """One seed: clocks, faults, what hosts do; everything is checked."""
    config, script = ground.config, Script(ground, seed)
    kind = list(kinds)[seed % len(kinds)]
    rng = script.rng
    drawn = list(clocks.draw(config.array.tiles, seed, rng.choice(PPMS), rng.choice((0.0, 0.02, 0.2))))
    if kind == "never":
        drawn[-1] = replace(drawn[-1], on_fs=None)
    elif kind == "late":
        drawn[rng.choice(script.tiles)] = replace(drawn[0], on_fs=rng.randrange(5_000) * clocks.NOMINAL_FS)
    else:  # dies leave rst at different times
        drawn = [replace(clock, on_fs=rng.randrange(300) * clocks.NOMINAL_FS) for clock in drawn]
    faults: tuple[LinkFaults, ...] = ()
    if kind in LASTING:
        faults = _death(rng, config, ground.model.cycles)
    elif rng.random() < 0.5:
        draws = np.random.default_rng(seed)
        faults = FAULTS[int(draws.integers(len(FAULTS)))](draws, config, ground.model.cycles)
    script.text = "".join(clock.line(tile) for tile, clock in enumerate(drawn))
    script.text += f"set stall_seed {seed % 2**31}\n" + "set stall_ddr 1\n" * (rng.random() < 0.3)
    script.text += "set fault_run 1\n" if faults and kind not in LASTING else ""
    script.faults = faults
    kinds[kind](script)
    if kind != "never":
        script.good()
    folder = ground.folder / f"seed{seed}"
    folder.mkdir(exist_ok=True)
    (folder / "host.txt").write_text(script.text, encoding="ascii")
    events = folder.resolve() / "events"
    plusargs = [*(one for one in ground.plusargs if not one.startswith("+events=")), f"+events={events}",
                *write_plan(config.array, [(seed, faults)], folder), "+verilator+rand+reset+1"]
    done = subprocess.run([str(ground.built.folder / "model" / "simulation"), "host.txt", "answers.txt",
                           str(100 * ground.model.cycles + 100_000), *seen_from(folder, plusargs)],
                          cwd=folder, capture_output=True, text=True, check=False)
    where = f"seed {seed}: {kind}, {clocks.described(drawn)}, {faults}"
    assert not done.returncode and "ERROR: " not in done.stdout, f"{where}\n{done.stdout[-1000:]}{done.stderr[-1000:]}"
    answers: dict[int, list[int]] = {tile: [] for tile in script.tiles}
    for line in (folder / "answers.txt").read_text("ascii").splitlines():
        owner, number = line.split()
        answers[int(owner)].append(int(number))
    # tile by tile: what they must read does not depend on each other
    for tile in script.tiles:
        assert len(answers[tile]) == len(script.checks[tile]), where
    try:
        for tile in script.tiles:
            for check, value in zip(script.checks[tile], answers[tile], strict=True):
                check(value)
    except AssertionError as error:
        raise AssertionError(f"{where}: {error}") from error
    cycles = 0 if kind == "never" else _exact(ground, folder, where)
    return Ran(kind, cycles, bool(faults))


def _exact(ground: Ground, folder: Path, where: str) -> int:
    """The last batch is exact, nothing lost and nothing twice; cycles of its slowest tile."""
    config, log, written = ground.config, [], []
    for tile in range(config.array.tiles):
        lines = (folder / f"events{tile}.log").read_text("ascii").splitlines()
        last = max(number for number, line in enumerate(lines) if line.split()[1] == "reset")
        found = []
        for line in lines[last + 1:]:
            cycle, what, *rest = line.split()
            found.append(Event(int(cycle), tile, what, *map(int, rest)))
        first = next(event.cycle for event in found if event.kind == "doorbell")
        log += [event._replace(cycle=event.cycle - first) for event in found]
        written.append(io_log.read(folder / "events", tile)[-1])
    verdict, _, _ = written_batch(config, ground.golden, ground.descriptors, written, None)
    assert verdict, f"{where}: {verdict.message}"
    order = check_order(sorted(log), ground.model)
    assert order, f"{where}: {order.message}"
    return max(event.cycle for event in log if event.kind == "complete")


def campaign(ground: Ground, seeds: range, kinds: Mapping[str, Callable[[Script], None]] = KINDS) -> dict[str, Counter[str]]:
    """Run seeds; how often what happened, by kind."""
    print(f"seeds {seeds}")
    seen: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    for seed in seeds:
        done = run(ground, seed, kinds)
        print(f"seed {seed}: {done.kind}, {done.cycles} cycles{', faults' * done.hurt}")
        seen[done.kind].update(runs=1, hurt=done.hurt)
    for kind, counts in seen.items():
        print(f"{kind}: {counts['runs']} runs, {counts['hurt']} with faults of links")
    return seen
