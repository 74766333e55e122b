"""A whole model on the array: tokens a second, from the cycles of its MoE layers and a roofline of the rest."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from trajectile.scripts.area.outside import Outside
from trajectile.scripts.area.power import TileEnergy, bits_pj, parts_pj
from trajectile.scripts.errors import UserError
from trajectile.scripts.flow.comparison import not_empty, orders_of, playable, window_offsets
from trajectile.scripts.flow.experiments import Gate, Task, config_text
from trajectile.sw_model.config import Config
from trajectile.sw_model.timeline.counters import Counters
from trajectile.sw_model.whole.shapes import SHAPES, Shape

#: sequences at once, if none are given
DEFAULT_SEQUENCES = (1, 2, 4, 8, 16, 32, 64)
GIB = 1 << 30


@dataclass(frozen=True)
class Rest:
    """Everything beside the MoE layers, which is modelled: a step reads its weights once and each sequence's cache, at the
    full rate of all DDR channels. Or the user says how long it takes.
    """

    #: bytes of weights
    weight_bytes: float
    #: bytes of keys and values that a token reads
    cache_bytes: int
    #: microseconds of a step, if the user gives them
    given_us: float | None = None

    def seconds(self, config: Config, sequences: int, hertz: float) -> float:
        """Of a step."""
        if self.given_us is not None:
            return self.given_us * 1e-6
        rate = config.array.channels * config.ddr.bytes_per_cycle * hertz
        return (self.weight_bytes + sequences * self.cache_bytes) / rate


def shape_of(config: Config, layers: int | None, rest_us: float | None) -> Shape | None:
    """The known model of this name; None if the user says what is needed instead.

    Raises:
        UserError: if neither is the case.
    """
    known = SHAPES.get(config.name)
    if known is None and (layers is None or rest_us is None):
        missing = "--layers" if layers is None else "--rest-us"
        raise UserError(f"{missing} is missing for {config.name}; legal: its number, or one of the known models: "
                        f"{', '.join(SHAPES)}")
    return known


def rest_of(config: Config, shape: Shape | None, *, context: int, rest_bits: int, rest_us: float | None) -> Rest:
    """What is not MoE."""
    if shape is None:
        return Rest(0, 0, rest_us)
    return Rest(shape.rest_weights(config.layer.d_model, config.layer.experts) * rest_bits / 8, shape.cache_bytes(context),
                rest_us)


def placement(config: Config, layers: int, rest: Rest, gib: float) -> dict[str, Any]:
    """Bytes of a DDR channel: experts of all layers, a share of the rest, and whether they fit. Caches are left out."""
    experts = layers * config.channel_slices * config.slice_pitch_bytes
    total = experts + rest.weight_bytes / config.array.channels
    return {"expert_bytes": experts, "channel_bytes": total, "capacity_bytes": gib * GIB, "fits": total <= gib * GIB,
            "missing_bytes": max(total - gib * GIB, 0)}


def tasks_of(config: Config, gate: Gate, sequences: Sequence[int], strategies: Sequence[str], windows: int,
             dataflow: str = "spread") -> list[Task]:
    """A batch of each size and strategy on windows of every layer of the trace, as many of them as are asked for. Batches
    whose tokens cannot travel are left out.

    Raises:
        UserError: if a size does not fit trace or tiles, or the dataflow the array.
    """
    trace = gate.read(config)
    layers = [gate.layer] if gate.layer is not None else [int(layer) for layer in trace.layers]
    tasks: list[Task] = []
    for number in sequences:
        mine = playable(config, "--sequences", number, strategies, dataflow)
        offsets = window_offsets(trace, number, windows)
        for place, offset in enumerate(offsets):
            layer = layers[place * len(layers) // len(offsets)]
            one = replace(gate, layer=layer if gate.trace else None)
            tasks += [Task(config_text(config), one, offset, number, strategy, order, dataflow)
                      for strategy in mine for order in orders_of(strategy, ["balanced"])]
    return not_empty(tasks, "--sequences", sequences, strategies)


@dataclass(frozen=True)
class Energies:
    """What a step's energy is estimated with."""

    outside: Outside
    #: of a tile's parts; None: not known, and not counted
    tile: TileEnergy | None = None

    def of_layer(self, config: Config, counters: Counters, mhz: float) -> dict[str, float]:
        """A batch's, in uJ: of the tiles, of links, of DRAM."""
        bits = bits_pj(config, counters, self.outside)
        tiles = 0.0
        if self.tile:
            parts = parts_pj(config, self.tile, counters, mhz, self.outside)
            tiles = sum(sum(row.values()) for part, row in parts.items() if part not in bits)
        return {"tiles": tiles / 1e6, "d2d": bits["D2D links"] / 1e6, "ddr": bits["DDR"] / 1e6}

    def of_rest(self, config: Config, rest: Rest, sequences: int, seconds: float) -> dict[str, float]:
        """A step's beside its MoE layers, in uJ: its bytes from DRAM, and what the tiles leak meanwhile."""
        leaks = config.array.tiles * self.tile.leakage_watts if self.tile else 0.0
        dram = self.outside.of_bits(0, 8 * (rest.weight_bytes + sequences * rest.cache_bytes))["DDR"]
        return {"tiles": leaks * seconds * 1e6, "d2d": 0.0, "ddr": dram / 1e6}


def energies_of(config: Config, path: Path | None, outside: Outside) -> Energies:
    """Energies, those of the tiles as ``trajectile synthesize --power --json`` wrote them.

    Raises:
        UserError: if the file has none, or those of other tiles.
    """
    if path is None:
        return Energies(outside)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        tile, made_for = TileEnergy.read(values["power"]["tile"]), values["config"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"--energy = {path} is not legal ({type(error).__name__}: {error}); legal: JSON that trajectile "
                        "synthesize --power --json wrote") from None
    mine = json.loads(json.dumps(config.as_dict))
    wrong = [section for section, fields in mine.items() if made_for.get(section) != fields and section != "name"]
    if wrong:
        raise UserError(f"--energy = {path} is of other tiles (other are: {', '.join(wrong)}); legal: JSON that trajectile "
                        "synthesize --power --json wrote for this configuration")
    return Energies(outside, tile)


def rows_of(config: Config, batches: Sequence[dict[str, Any]], layers: int, rest: Rest, mhz: float,
            energies: Energies) -> list[dict[str, Any]]:
    """A row for each number of sequences and strategy: a step of all layers, one after the other.

    Args:
        config: the accelerator.
        batches: rows of :func:`trajectile.scripts.flow.experiments.evaluate`.
        layers: MoE layers of the model.
        rest: what is not MoE.
        mhz: clock of the array.
        energies: of tiles, links, DRAM.
    """
    groups = defaultdict(list)
    for row in batches:
        groups[row["tokens"], row["strategy"]].append(row)
    hertz, found = mhz * 1e6, []
    for (sequences, strategy), members in groups.items():
        cycles, roof, first, streaming = (fmean(row[key] for row in members) for key in (
            "cycles", "roofline", "first_load_cycles", "streaming_cycles"))
        moe, other = layers * cycles / hertz, rest.seconds(config, sequences, hertz)
        step, best = moe + other, layers * roof / hertz + other
        per_layer = [energies.of_layer(config, Counters(**row["counters"]), mhz) for row in members]
        energy = {part: (layers * fmean(one[part] for one in per_layer) + value) / sequences
                  for part, value in energies.of_rest(config, rest, sequences, other).items()}
        found.append({
            "sequences": sequences, "strategy": strategy, "layer_cycles": cycles, "layer_roofline": roof,
            "first_load_cycles": first, "streaming_cycles": streaming,
            "moe_us": moe * 1e6, "rest_us": other * 1e6, "step_us": step * 1e6, "tokens_per_second": sequences / step,
            "over_roofline": step / best, "moe_share": moe / step,
            "ddr_bytes_per_token": (layers * ddr_bytes(config, members) + (
                rest.weight_bytes + sequences * rest.cache_bytes)) / sequences,
            "uj_per_token": sum(energy.values()), **{f"{part}_uj_per_token": value for part, value in energy.items()},
            "watts": sum(energy.values()) * 1e-6 * sequences / step,
            "d2d_use": fmean(row["use_d2d"] for row in members), "windows": len(members),
            "weight_bytes": members[0]["weight_bytes"], "token_bytes": max(row["token_bytes"] for row in members)})
    return found


def ddr_bytes(config: Config, members: Sequence[dict[str, Any]]) -> float:
    """Bytes that a layer reads from DDR, by the use of the channels."""
    rate = config.array.channels * config.ddr.bytes_per_cycle
    return fmean(row["use_ddr"] * row["cycles"] * rate for row in members)
