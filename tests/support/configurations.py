"""Configurations for tests: a preset with changes, a tiny tile, random legal ones, scaled-down real layers."""

from copy import deepcopy
from typing import Any

import numpy as np

from trajectile.sw_model.config import Config, ConfigError, divisors, from_dict, load
from trajectile.sw_model.config.sections import ACTIVATIONS

#: changes of the smoke configuration for :func:`small`: a tile that takes seconds in Yosys, and few gates for a simulator
TINY = {"layer__d_model": 3, "layer__d_ff": 4, "layer__experts": 3, "layer__top_k": 2, "tile__mac_k": 2, "tile__mac_n": 2,
        "tile__mac_t": 1, "tile__slices": 2, "tile__slots": 2, "tile__tokens": 2, "link__beat_bytes": 1,
        "link__latency_cycles": 1, "ddr__bytes_per_cycle": 1, "ddr__latency_cycles": 4, "array__dataflows": "spread"}

#: registers that an FPGA wants, as changes for :func:`small`
REGISTERS = {f"tile__register_{what}": True for what in ("operands", "products", "slots", "starts", "flits")}
#: the same, as overrides for :func:`~trajectile.sw_model.config.load`
REGISTERS_SET = [f"{path.replace('__', '.')}=true" for path in REGISTERS]

#: multipliers of the whole array in a random configuration, at the most: an interpreter has to compute them
MOST_MACS = 640


def small(**changes: object) -> Config:
    """The smoke configuration with some fields changed, ``small(tile__slots=4)``; weights travel if nothing is said."""
    def text(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else str(list(value) if isinstance(value, tuple) else value)
    return load("smoke", [f"{key.replace('__', '.')}={text(value)}"
                          for key, value in ({"array__dataflows": "spread"} | changes).items()])


def random_config(seed: int) -> Config:
    """A small legal configuration; every field varies, odd sizes are likely.

    One in four is wide: words of up to 64 inputs, and matrices of several blocks of 32. Others are smaller than a block.
    """
    rng = np.random.default_rng(seed)

    def pick(*values: int) -> int:
        return int(rng.choice(values))

    for _ in range(1000):
        rows, cols = ((1, 2), (1, 2), (2, 1), (1, 3), (2, 2), (2, 2), (3, 1), (1, 4), (2, 3))[rng.integers(9)]
        tiles = rows * cols
        ddr = sorted(int(t) for t in rng.choice(tiles, size=rng.integers(1, tiles + 1), replace=False))
        experts = int(rng.integers(1, 8))
        wide = pick(0, 0, 0, 1)
        mac_k = pick(8, 16, 32, 64) if wide else pick(2, 2, 4, 4, 8, 16)
        d_ff = int(rng.integers(1, 81 if wide else 25))
        values: dict[str, dict[str, Any]] = {
            "layer": {"d_model": int(rng.integers(1, 4 * mac_k + 1 if wide else 21)), "d_ff": d_ff, "experts": experts,
                      "top_k": int(rng.integers(1, min(experts, 3) + 1))},
            "array": {"rows": rows, "cols": cols, "ddr_tiles": ddr},
            "tile": {"mac_k": mac_k, "mac_n": pick(2, 2, 4, 6), "mac_t": pick(1, 1, 2, 3),
                     "slices": int(rng.choice(divisors(d_ff))), "slots": int(rng.integers(2, 6)),
                     "tokens": int(rng.integers(1, 7)), "weights": str(rng.choice(["mx8", "mxfp4", "int4"])),
                     "scale_mantissa": pick(0, 3)},
            "link": {"beat_bytes": int(rng.integers(1, 17)), "latency_cycles": int(rng.integers(1, 7))},
            "ddr": {"bytes_per_cycle": pick(1, 2, 4), "latency_cycles": int(rng.integers(1, 41))},
        }
        try:
            config = from_dict(values)
        except ConfigError:
            continue
        if tiles * config.tile.macs > MOST_MACS:
            continue
        # Drawn when all else is legal, so that what was drawn before stays as it was.
        values["tile"]["protect"] = str(rng.choice(["none", "none", "parity", "secded"]))  # as often with as without
        values["link"]["crc_bits"] = pick(0, 16, 32)
        values["tile"]["multiplier"] = str(rng.choice(["plain", "plain", "shared"]))
        values["tile"]["mac_part"] = pick(1, 2, 8)
        values["layer"]["activation"] = str(rng.choice(ACTIVATIONS))
        values["layer"]["bias"] = pick(0, 1) == 1 and config.gate_up_chunks >= 3
        values["tile"]["batches"] = pick(1, 2)
        values["io"] = {"bytes_per_cycle": pick(4, 8, 16, 32, 128), "latency_cycles": int(rng.integers(1, 41))}
        values["tile"]["register_products"] = pick(0, 0, 1) == 1 and config.gate_up_chunks != 3
        values["tile"]["register_slots"] = pick(0, 0, 1) == 1
        values["tile"]["register_flits"] = pick(0, 0, 1) == 1
        values["tile"]["register_starts"] = pick(0, 0, 1) == 1
        enough = not values["layer"]["bias"] or config.gate_up_chunks >= 4 + values["tile"]["register_products"]
        values["tile"]["register_operands"] = pick(0, 0, 1) == 1 and enough
        return from_dict(values, name=f"random-{seed}")
    raise AssertionError(f"no legal configuration found with seed {seed}")


def sharing(config: Config) -> Config:
    """The same with both dataflows: a beat of the io port no wider than a flit, which is no narrower than the narrowest beat.

    Raises:
        ConfigError: if a word of weights has fewer bytes than that.
    """
    values = deepcopy(config.as_dict)
    link, io = values["link"], values["io"]
    link["beat_bytes"] = max(link["beat_bytes"], 4)
    while io["bytes_per_cycle"] > link["beat_bytes"]:
        io["bytes_per_cycle"] //= 2
    values["array"]["dataflows"] = "both"
    return from_dict(values, f"{config.name}-sharing")


def random_sharing(seed: int) -> Config:
    """A small legal configuration with both dataflows; the token buffer has twice the usual room."""
    for number in range(seed, seed + 10_000, 100):
        try:
            config = sharing(random_config(number))
        except ConfigError:
            continue
        values = deepcopy(config.as_dict)
        values["tile"]["tokens"] *= 2
        return from_dict(values, config.name)
    raise AssertionError(f"no legal configuration found with seed {seed}")


def scaled_layer(experts: int, top_k: int, **tile: int) -> Config:
    """A real model's gate on a layer small enough to simulate in seconds, on 2x2 tiles of 64 MACs."""
    return from_dict({
        "layer": {"d_model": 16, "d_ff": 32, "experts": experts, "top_k": top_k},
        "array": {"rows": 2, "cols": 2, "ddr_tiles": [0, 1, 2, 3]},
        "tile": {"mac_k": 8, "mac_n": 4, "mac_t": 2, "slices": 4, "slots": 6, "tokens": 64} | tile,
        "link": {"beat_bytes": 16, "latency_cycles": 4},
        "ddr": {"bytes_per_cycle": 4, "latency_cycles": 40},
    }, name=f"scaled-{experts}-{top_k}")


#: every field at its least
SMALLEST: dict[str, dict[str, Any]] = {
    "layer": {"d_model": 1, "d_ff": 1, "experts": 1, "top_k": 1},
    "array": {"rows": 1, "cols": 2, "ddr_tiles": [0]},
    "tile": {"mac_k": 2, "mac_n": 2, "mac_t": 1, "slices": 1, "slots": 2, "tokens": 1},
    "link": {"beat_bytes": 1, "latency_cycles": 1},
    "ddr": {"bytes_per_cycle": 1, "latency_cycles": 1},
    "io": {"bytes_per_cycle": 4, "latency_cycles": 1},
}
#: a small configuration without a field at its least
USUAL: dict[str, dict[str, Any]] = {
    "layer": {"d_model": 6, "d_ff": 6, "experts": 3, "top_k": 2},
    "array": {"rows": 2, "cols": 2, "ddr_tiles": [0, 1]},
    "tile": {"mac_k": 4, "mac_n": 4, "mac_t": 2, "slices": 3, "slots": 3, "tokens": 3},
    "link": {"beat_bytes": 3, "latency_cycles": 2},
    "ddr": {"bytes_per_cycle": 2, "latency_cycles": 3},
    "io": {"bytes_per_cycle": 8, "latency_cycles": 5},
}
#: what has to change with a field, when it comes to its least
AT_ITS_LEAST = {
    "layer.d_model": {"tile.mac_n": 2},
    "layer.d_ff": {"tile.slices": 1},
    "layer.experts": {"layer.top_k": 1},
}
#: what has to change with a field, when it leaves its least
ABOVE_ITS_LEAST = {
    "layer.top_k": {"layer.experts": 2},  # all experts for each token
    "tile.mac_n": {"layer.d_model": 3},
    "tile.slices": {"layer.d_ff": 3},
}


def _changed(base: dict[str, dict[str, Any]], changes: dict[str, object], name: str) -> Config:
    """A configuration with some fields changed."""
    values = {section: dict(fields) for section, fields in base.items()}
    for path, value in changes.items():
        section, field = path.split(".")
        values[section][field] = value
    return from_dict(values, name)


def smallest(name: str = "smallest", **changes: object) -> Config:
    """The configuration with every field at its least, but for ``changes``: ``smallest(tile__protect="parity")``."""
    return _changed(SMALLEST, {path.replace("__", "."): value for path, value in changes.items()}, name)


def minimal_configs() -> list[Config]:
    """Each field at its least by itself, and every other one at its least; all at once, with each way to build it."""
    found = [smallest(), smallest("smallest-parity", tile__protect="parity"),
             smallest("smallest-secded", tile__protect="secded"),
             smallest("smallest-shared", tile__multiplier="shared", tile__mac_part=1),
             smallest("smallest-mxfp4", tile__weights="mxfp4"),
             smallest("smallest-registered", tile__register_products=True),
             smallest("smallest-registered-mxfp4", tile__weights="mxfp4", tile__register_products=True),
             smallest("smallest-registered-operands", tile__register_operands=True, tile__register_products=True),
             smallest("smallest-registered-slots", tile__register_slots=True, tile__register_starts=True,
                      tile__register_flits=True),
             smallest("smallest-int4", tile__weights="int4", tile__scale_mantissa=3),
             smallest("smallest-two-batches", tile__batches=2),
             *(smallest(f"smallest-{name}", layer__activation=name) for name in ACTIVATIONS[1:]),
             smallest("smallest-bias", layer__bias=True, layer__d_model=5),
             *(smallest(f"smallest-crc{bits}", link__crc_bits=bits, link__retries=1) for bits in (16, 32))]
    for section, fields in SMALLEST.items():
        for field, least in fields.items():
            path, usual = f"{section}.{field}", USUAL[section][field]
            found += [_changed(USUAL, {path: least} | AT_ITS_LEAST.get(path, {}), f"least-{path}"),
                      _changed(SMALLEST, {path: usual} | ABOVE_ITS_LEAST.get(path, {}), f"alone-{path}")]
    return found
