"""The toy language model for the firmware: its weights as integers in the DRAM, its layers in the channels, a text by UART.

The firmware (``data/toy.c``) computes attention, norms, gate and output matrix with integers, and the array the MoE layers.
"""

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trajectile.scripts.board import job as jobs
from trajectile.scripts.board import layout
from trajectile.scripts.board.run import Machine
from trajectile.scripts.errors import UserError
from trajectile.scripts.flow.chat import ArrayLayers, continued
from trajectile.scripts.flow.outcomes import Golden
from trajectile.scripts.flow.speakers import toy_speaker
from trajectile.scripts.flow.workload import is_toy
from trajectile.sw_model.batch.records import read_records
from trajectile.sw_model.config import Config
from trajectile.sw_model.gates.toy_model import HEADS, ROPE_BASE, Block, ToyModel, load
from trajectile.sw_model.numerics.integer import QuantisedLayer, integer_layer
from trajectile.sw_model.schedule.dataflow import planned
from trajectile.sw_model.schedule.scheduler import ORDERS
from trajectile.tb.job import Descriptor
from trajectile.tb.top import layer_pitch

#: first word of the model
MAGIC = 0x594F5454
#: fraction bits of what meets a matrix, of the weights of norms and embedding, of cosine and sine, and of powers of two
INPUT_BITS, NORM_BITS, TURN_BITS, POWER_BITS = 11, 13, 14, 15
#: parts of a power of two
POWERS = 1024
#: most bytes of a prompt and a text together
CONTEXT = layout.CONTEXT
#: MoE layers, and tiles whose results of all batches have room
BLOCKS, MOST_TILES = 2, (layout.MODEL - layout.RESULTS) // (2 * layout.CONTEXT * layout.TEXT_RESULT_BYTES)

Reals = NDArray[np.floating]


def check(config: Config) -> None:
    """Whether the toy model can run in this configuration on a board.

    Raises:
        UserError: if not.
    """
    layout.check(config, layers=BLOCKS)
    if not is_toy(config):
        layer = config.layer
        raise UserError(f"layer = {layer.d_model} x {layer.d_ff}, {layer.experts} experts, top {layer.top_k} is not legal "
                        "for a text; legal: the toy model's, 64 x 64, 64 experts, top 6, as in configs/board.toml")
    if config.array.tiles > MOST_TILES:
        raise UserError(f"array.rows x array.cols = {config.array.tiles} tiles is not legal for a text; legal: {MOST_TILES}")
    for name, takes, there in (("record", config.records_bytes(1), layout.TEXT_RECORD_BYTES),
                               ("result", config.completion_bytes + config.result_bytes(4), layout.TEXT_RESULT_BYTES)):
        if takes > there:
            raise UserError(f"io.bytes_per_cycle = {config.io.bytes_per_cycle} is not legal for a text (a {name} takes "
                            f"{takes} bytes); legal: at most {there} bytes")


def _fixed(values: Reals, bits: int) -> bytes:
    """16-bit integers with a fixed point.

    Raises:
        ValueError: if one does not fit.
    """
    whole = np.rint(np.ldexp(values.astype(np.float64), bits))
    if np.abs(whole).max(initial=0) > 32767:
        raise ValueError(f"a weight of {np.abs(values).max():g} is not legal; legal: below {32768 / 2**bits:g}")
    return whole.astype("<i2").tobytes()


def _matrix(weights: Reals, norm: float) -> bytes:
    """``MATRIX`` of the firmware: so many fraction bits that weights fit 16 bits, and sums 32 for inputs up to this norm."""
    longest = float(np.linalg.norm(weights, axis=1).max()) * norm
    most_weight, most_sum = float(np.abs(weights).max()), longest * 2**INPUT_BITS
    bits = min(int(np.floor(np.log2(32767 / most_weight))), int(np.floor(np.log2((2**31 - 1) / most_sum))))
    return bits.to_bytes(4, "little", signed=True) + _fixed(weights, bits)


def _norm(weight: Reals) -> float:
    """The norm of what an RMSNorm with these weights gives, at the most."""
    return float(np.sqrt(len(weight)) * np.abs(weight).max())


def _block(block: Block) -> bytes:
    attention = _norm(block.attention_norm)
    # what attention gives of a head is between the values of that head
    values = float(np.linalg.norm(block.qkv[2 * len(block.out):], 2)) * attention * np.sqrt(HEADS)
    return (_fixed(block.attention_norm, NORM_BITS) + _fixed(block.moe_norm, NORM_BITS) + _matrix(block.qkv, attention)
            + _matrix(block.out, values) + _matrix(block.router.weight, _norm(block.moe_norm)))


def packed(config: Config, model: ToyModel) -> bytes:
    """``struct toy`` of the firmware."""
    half = model.embedding.shape[1] // HEADS // 2
    angles = np.arange(CONTEXT)[:, None] * ROPE_BASE ** (-np.arange(half) / half)
    head = [MAGIC, jobs.WATCHDOG, layer_pitch(config), ORDERS.index("balanced")]
    powers = np.rint(2.0 ** (POWER_BITS - np.arange(POWERS) / POWERS)).astype("<u2")
    return (np.array(head, dtype="<u4").tobytes() + jobs.places(config)
            + _fixed(np.stack([np.cos(angles), np.sin(angles)], axis=1), TURN_BITS) + powers.tobytes()
            + _fixed(model.norm, NORM_BITS) + _fixed(model.embedding, NORM_BITS) + _matrix(model.head, _norm(model.norm))
            + b"".join(_block(block) for block in model.blocks))


def wanted(config: Config, prompt: bytes, length: int) -> bytes:
    """What ``trajectile chat --model-only --temperature 0`` writes: float32 but for the MoE layers."""
    speaker = toy_speaker()
    moe = ArrayLayers(config, speaker.layers(config), None, "balanced", "spread")
    drawn = continued(speaker, moe, np.frombuffer(prompt, dtype=np.uint8), length=length, sequences=1, temperature=0, seed=1,
                      capacity=config.token_capacity)
    return bytes(int(one[0]) for one in drawn)


@dataclass
class TextRun:
    """What has become of a text."""

    #: what the firmware has said
    said: str
    #: what it has written, and what NumPy writes
    text: bytes
    wanted: bytes
    #: batches of the array, and cycles from the first byte to the last
    batches: int
    cycles: int
    #: of each batch, of the array alone
    batch_cycles: list[int] = field(default_factory=list)
    #: what was not as it must be
    wrong: list[str] = field(default_factory=list)


def write_text(machine: Machine, config: Config, prompt: bytes, length: int) -> TextRun:
    """The firmware goes on with a prompt. Every batch's results are compared with the golden model's for the records that the
    firmware has made, bit for bit, and the text with NumPy's.
    """
    model = load()[0]
    layers = toy_speaker().layers(config)
    for address, data in [(layout.MODEL, packed(config, model)), *jobs.channels(config, layers)]:
        machine.load(address, data)
    said = machine.command(f"t {length:x} {len(prompt):x}\n".encode() + prompt)
    found = re.search(r"^text (.*)\n(\d+) batches, (\d+) cycles\nok\n\Z", said, re.M | re.S)
    done = TextRun(said, found[1].encode("latin-1") if found else b"", wanted(config, prompt, length),
                   int(found[2]) if found else 0, int(found[3]) if found else 0)
    if done.text != done.wanted:
        done.wrong.append(f"the firmware writes {done.text!r}, NumPy {done.wanted!r}")
    if done.batches != len(layers) * (len(prompt) + length - 1):
        done.wrong.append(f"{done.batches} batches in place of {len(layers) * (len(prompt) + length - 1)}")
    for number in range(done.batches):
        done.batch_cycles.append(_checked(machine, config, layers, number, done.wrong))
    return done


def _checked(machine: Machine, config: Config, layers: list[QuantisedLayer], number: int, wrong: list[str]) -> int:
    """Compare a batch's completion records and results with what its records must give; returns its cycles."""
    layer, tiles = layers[number % len(layers)], config.array.tiles
    at = layout.RECORDS + number * layout.TEXT_RECORD_BYTES
    region = np.frombuffer(machine.dump(at, config.records_bytes(1)), dtype=np.uint8)
    batch = read_records(config, region, 1)
    plan = planned(config, batch.topk_ids, "balanced", "spread")
    queued = [Descriptor(tokens=len(tile.records), order=ORDERS.index("balanced"), bf16=False, tag=number % 256, layer=0,
                         records=at, results=layout.RESULTS + (number * tiles + which) * layout.TEXT_RESULT_BYTES)
              for which, tile in enumerate(plan.tiles)]
    assert [one.tokens for one in queued] == [1] + [0] * (tiles - 1)
    golden = Golden(plan, integer_layer(config, layer, batch), layer)
    verdict, cycles = jobs.verdict(golden, queued, [machine.dump(one.results, jobs.region_bytes(config, one))
                                                    for one in queued])
    if not verdict:
        wrong.append(f"batch {number}: {verdict.message}")
    return cycles
