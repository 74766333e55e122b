"""The C driver without hardware: what it writes into memory and registers, and what it makes of what it finds there."""

import itertools
import shutil
import subprocess

import numpy as np
import pytest

from tests.support.configurations import random_config
from trajectile.hw.host.codes import Refusal
from trajectile.hw.host.regmap import RegisterMap
from trajectile.hw.params import Params
from trajectile.scripts.soc import driver
from trajectile.scripts.soc import register_map as regmap_docs
from trajectile.sw_model.batch.completion import Completion
from trajectile.sw_model.batch.records import record_region
from trajectile.sw_model.batch.results import result_region
from trajectile.sw_model.config import Config, load, presets
from trajectile.sw_model.numerics.integer import Results, quantise_batch
from trajectile.tb.c_driver import FLAGS, CDriver, Status, compile_driver, refused, settings_of

#: with every optional part, and many tiles, wide entries, experts that need every bit of their number
CONFIGURATIONS = [*map(load, presets()), load("smoke", ["link.crc_bits=16", "tile.protect=secded"]),
                  load("smoke", ["array.dataflows=spread"]), load("smoke", ["array.dataflows=both"]),
                  *(random_config(seed) for seed in range(8))]
#: most accesses to registers that a batch may take in a tile, interrupt included
MOST_ACCESSES = 8

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


class Registers:
    """Registers of the tiles as a dictionary that refuses nothing, and every access to them."""

    def __init__(self, config: Config):
        self.map = RegisterMap(Params(config))
        self.values = {tile * 0x1000 + register.offset: tile if register.name == "TILE_ID" else register.reset
                       for tile in range(config.array.tiles) for register in self.map.registers}
        self.accesses: list[tuple[str, int]] = []

    def read(self, address: int) -> int:
        """A read."""
        self.accesses.append(("read", address))
        return self.values[address]

    def write(self, address: int, value: int) -> None:
        """A write."""
        self.accesses.append(("write", address))
        self.values[address] = value

    def field(self, tile: int, register: str, field: str = "VALUE") -> int:
        """What a field was set to."""
        found = self.map[register].field(field)
        return (self.values[tile * 0x1000 + self.map[register].offset] & found.mask) >> found.low


def _driver(config: Config, folder, relax=lambda: None, size: int = 1 << 16) -> tuple[CDriver, Registers, bytearray]:
    for name, text in (driver.files() | {"trajectile.h": regmap_docs.c_header(Params(config))}).items():
        (folder / name).write_text(text)
    registers, memory = Registers(config), bytearray(size)
    return CDriver(compile_driver(folder), config, registers.read, registers.write, relax, memory), registers, memory


@needs_gcc
@pytest.mark.parametrize("config", CONFIGURATIONS, ids=lambda config: config.name)
def test_no_warning(config, tmp_path):
    """For any configuration it is C99 without a warning."""
    for name, text in (driver.files() | {"trajectile.h": regmap_docs.c_header(Params(config))}).items():
        (tmp_path / name).write_text(text)
    subprocess.run(["gcc", *FLAGS, "-fsyntax-only", tmp_path / "trajectile_driver.c"], check=True)


def test_driver_names_no_number():
    """Offsets and bits come from the generated header alone: the driver has no hexadecimal number of its own."""
    assert not any("0x" in text for text in driver.files().values())


@needs_gcc
@pytest.mark.parametrize("beat", [4, 32, 128])
@pytest.mark.parametrize("size", [{}, {"layer.d_model": 150, "tile.mac_n": 12}])
def test_records_and_results(beat, size, tmp_path):
    """Records are those of the golden model, byte for byte; what the golden model writes as results is read back."""
    config = load("smoke", ["array.dataflows=spread", f"io.bytes_per_cycle={beat}",
                            *(f"{name}={value}" for name, value in size.items())])
    rng = np.random.default_rng(5)
    ids = np.array([rng.permutation(config.layer.experts)[:config.layer.top_k] for _ in range(5)])
    ids[1, 0] = -1
    batch = quantise_batch(rng.standard_normal((5, config.layer.d_model)).astype(np.float32), ids, rng.random(ids.shape))
    drv, _, memory = _driver(config, tmp_path)
    memory[:] = b"\xaa" * len(memory)
    tokens = [3, 0, 4, 1]
    for place, token in enumerate(tokens):
        drv.put_token(512, len(tokens), place, exponent=int(batch.exponent[token]), experts=batch.topk_ids[token].tolist(),
                      weights=batch.weight[token].tolist(), shifts=batch.shift[token].tolist(), x=batch.x[token].tolist())
    expected = record_region(config, batch, tokens).tobytes()
    assert memory[512:512 + len(expected)] == expected
    assert memory[:512] == b"\xaa" * 512 and memory[512 + len(expected)] == 0xAA

    y = rng.integers(-2**31, 2**31, (3, config.layer.d_model)).astype(np.int32)
    clips = np.array([0, 65535, 258])
    for as_bf16, unit in itertools.product((False, True), (-17, 5)):
        region = result_region(config, Results(y, clips), unit, as_bf16=as_bf16).tobytes()
        memory[:config.completion_bytes + len(region)] = bytes(config.completion_bytes) + region
        for token in range(3):
            got, found_unit, found_clips = drv.get_token(0, token, bf16=as_bf16)
            assert (found_unit, found_clips) == (unit, clips[token])
            values = np.array(got, dtype=np.uint32)
            if as_bf16:
                exact = y[token] * 2.0**unit
                np.testing.assert_allclose(values.view(np.float32), exact, rtol=2**-8)
                assert not (values & 0xFFFF).any()
            else:
                np.testing.assert_array_equal(values.view(np.int32), y[token])


@needs_gcc
@pytest.mark.parametrize("dataflows", ["spread", "both"])
def test_queue_and_wait(dataflows, tmp_path):
    """A batch of any size takes six accesses to registers, and none while the host waits in memory."""
    config = load("demo", [f"array.dataflows={dataflows}"])
    looks = []

    def relax():
        looks.append(1)
        if len(looks) == 3:  # a record of another batch, then one of which the first beat is there, then all of it
            memory[:64] = Completion(tag=8, tokens=0).to_bytes(config)[:64]
        if len(looks) == 5:
            memory[:16] = record[:16]
        if len(looks) == 7:
            memory[:64] = record[:64]

    drv, registers, memory = _driver(config, tmp_path, relax)
    for tile in range(config.array.tiles):
        assert drv.call("probe", tile, tile) == Status.OK
        assert drv.call("probe", tile, tile + 1) == Status.MISMATCH
    registers.values[registers.map["D_FF"].offset] += 1
    assert drv.call("probe", 0, 0) == Status.MISMATCH
    for failed, status in ((False, Status.OK), (True, Status.FAILED)):
        record = Completion(tag=7, tokens=9, failed=failed, errors=1 << 17).to_bytes(config)
        registers.accesses.clear()
        looks.clear()
        memory[:64] = record[:64]
        made = drv.batch(config.tile.tokens, layer=0xAB_CDEF_0000, records=0x12_3456_7800, results=0x34_0000_0000, order=2,
                         bf16=1, tag=7, shared=config.array.shares)
        assert drv.queue(1, made) is Refusal.NONE
        names = [(kind, {r.offset: r.name for r in registers.map.registers}[at - 0x1000]) for kind, at in registers.accesses]
        assert names == [*(("write", f"BATCH_{name}") for name in ("LAYER", "RECORDS", "RESULTS", "HIGH")),
                         ("write", "DOORBELL"), ("read", "REFUSED")]
        assert [registers.field(1, f"BATCH_{name}") for name in ("LAYER", "RECORDS", "RESULTS")] == [
            0xCDEF_0000, 0x3456_7800, 0]
        assert [registers.field(1, "BATCH_HIGH", name) for name in ("LAYER", "RECORDS", "RESULTS")] == [0xAB, 0x12, 0x34]
        assert [registers.field(1, "DOORBELL", name) for name in ("TOKENS", "ORDER", "BF16", "TAG")] == [
            config.tile.tokens, 2, 1, 7]
        assert not config.array.shares or registers.field(1, "DOORBELL", "SHARED") == 1
        assert not any(memory[:4]) and not any(memory[60:64]), "an old record is no answer"
        assert drv.wait(made, 4) is Status.TIMEOUT
        assert drv.wait(made, 10) is status and len(looks) == 7
        assert made.completion.contents.errors == 1 << 17 and made.completion.contents.state >> 16 == 9
        registers.values[0x1000 + registers.map["IRQ_STATUS"].offset] = 9
        assert drv.call("interrupt", 1) == 9
        assert len(registers.accesses) == MOST_ACCESSES


@needs_gcc
def test_what_cannot_be_queued(tmp_path):
    """Numbers that no field holds are refused before anything is written; what the tile refuses is told once."""
    config = load("smoke", ["array.dataflows=spread"])
    drv, registers, _ = _driver(config, tmp_path)
    good = {"layer": 0, "records": 0, "results": 0}
    for wrong in ({"layer": 1 << 40}, {"records": 1 << 40}, {"results": 1 << 40}, {"order": 3}, {"bf16": 2}, {"tag": 256},
                  {"shared": 1}):
        assert drv.queue(0, drv.batch(0, **good | wrong)) is Refusal.VALUE
    assert drv.queue(0, drv.batch(config.tile.tokens + 1, **good)) is Refusal.VALUE
    assert not registers.accesses
    at = registers.map["REFUSED"].offset
    for code in set(Refusal) - {Refusal.NONE}:
        registers.values[at] = code.value | 1 << 8 | registers.map["DOORBELL"].offset << 16
        assert drv.queue(0, drv.batch(0, **good)) is code and registers.values[at] == 0
    assert drv.queue(0, drv.batch(0, **good)) is Refusal.NONE


@needs_gcc
@pytest.mark.parametrize("config", [load("smoke"), load("demo"), load("demo", ["array.rows=4", "array.cols=4"])],
                         ids=["1x2", "2x2", "4x4"])
def test_settings_and_reset(config, tmp_path):
    """Every setting is where it belongs; a reset waits until it is over."""
    shown = []

    def relax():
        shown.append(1)
        if len(shown) == 4:
            registers.values[status] = 0

    drv, registers, _ = _driver(config, tmp_path, relax)
    for tile in range(config.array.tiles):
        told = settings_of(config, tile, watchdog=77, read_page=1, read_pages=2, write_page=3, write_pages=4, lock=tile & 1,
                           interrupts=5)
        assert drv.set(tile, told) is Refusal.NONE
        for name, register in (("ring_next", "RING_NEXT"), ("ring_prev", "RING_PREV"), ("watchdog", "WATCHDOG"),
                               ("read_page", "IO_READ_BASE"), ("read_pages", "IO_READ_SIZE"),
                               ("write_page", "IO_WRITE_BASE"), ("write_pages", "IO_WRITE_SIZE")):
            assert registers.field(tile, register) == told[name]
        assert [registers.field(tile, f"ROUTE_{to // 8}", f"TILE_{to}") for to in range(config.array.tiles)] == told["route"]
        assert registers.field(tile, "IO_LOCK", "LOCKED") == tile & 1
        assert registers.field(tile, "IRQ_ENABLE", "COMPLETE") and not registers.field(tile, "IRQ_ENABLE", "ERROR")
        wrong = [*told["route"][:-1], 5]
        assert drv.set(tile, told | {"route": wrong}) is Refusal.VALUE
    status, mask = registers.map["STATUS"].offset, registers.map["STATUS"].field("RESETTING").mask
    registers.values[status] = mask
    assert drv.call("reset", 0, 3) == Status.TIMEOUT and drv.call("reset", 0, 3) == Status.OK
    registers.values[registers.map["ERROR"].offset] = 6
    assert drv.call("error", 0) == 6 and refused(0) is Refusal.NONE
