"""The system for a board: what it refuses, its project, and the whole of it in Verilator with its firmware and LiteDRAM."""

import json
import os
import pty
import select
import threading
import tty
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.configurations import TINY, small
from tests.support.tools import require_soc
from trajectile.hw.design import design
from trajectile.scripts import cli
from trajectile.scripts.board import firmware, job, layout, simulation, system
from trajectile.scripts.board.job import BoardJob
from trajectile.scripts.board.port import Port
from trajectile.scripts.board.run import run_job
from trajectile.scripts.errors import ToolError, UserError
from trajectile.scripts.flow import workload
from trajectile.sw_model.config import load
from trajectile.sw_model.schedule.dataflow import planned

#: a tile that is compiled soon, with ports as wide as the DRAM's controller, and links as wide as these for both dataflows
CONFIG = small(**TINY | {"ddr__bytes_per_cycle": 2, "io__bytes_per_cycle": 16, "link__beat_bytes": 16, "tile__mac_k": 16,
                         "tile__tokens": 3, "array__dataflows": "both"})


def job_of(seed=1, tokens=5, dataflow="spread", **more):
    work = workload.load(CONFIG, tokens=tokens, seed=seed)
    plan = planned(CONFIG, work.topk_ids, "balanced", dataflow)
    return BoardJob(CONFIG, plan, work.given.batch, work.given.layer, **more)


@pytest.mark.parametrize(("changes", "field"), [
    (["io.bytes_per_cycle=8"], "io.bytes_per_cycle = 8"),
    (["tile.mac_n=32", "ddr.bytes_per_cycle=32"], "ddr.bytes_per_cycle = 32"),
    (["array.clocks=independent", "link.crc_bits=16"], "array.clocks = independent"),
    (["layer.experts=1024"], "layer.experts = 1024"), (["tile.tokens=256"], "tile.tokens = 256"),
    (["array.rows=3", "array.cols=4", "array.ddr_tiles=0,1"], "array.rows x array.cols = 12")])
def test_no_room(changes, field):
    layout.check(load("board"))
    with pytest.raises(UserError, match=field):
        layout.check(load("board", changes))


def test_memory_map():
    """Regions do not overlap, and bursts of a tile's own never reach the next one's."""
    ends = [layout.JOB, layout.RECORDS, layout.RESULTS, layout.MODEL, layout.LAYERS]
    assert ends == sorted(ends) and all(end % 4096 == 0 for end in ends)
    assert layout.RECORDS + layout.MOST_TILES * layout.TILE_BYTES <= layout.RESULTS
    assert layout.RESULTS + 2 * layout.MOST_TILES * layout.TILE_BYTES <= layout.MODEL
    assert layout.channel_base(CONFIG, 1) - layout.channel_base(CONFIG, 0) == layout.CHANNEL_BYTES


@pytest.mark.parametrize(("module", "name", "missing"), [(system, "find_spec", "trajectile[soc]"),
                                                         (firmware.shutil, "which", "gcc-riscv64-unknown-elf")])
def test_missing_tool(module, name, missing, monkeypatch, capsys):
    """Exit code 3, and what to install."""
    if module is not system:
        monkeypatch.setattr(system, "check", lambda: None)
    monkeypatch.setattr(module, name, lambda *_: None)
    assert cli.main(["soc", "board"]) == 3
    assert missing in capsys.readouterr().err


def test_project(tmp_path, monkeypatch):
    """What the board gets: all pins of the DRAM and the UART, the array, a firmware that fits its ROM."""
    require_soc()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trajectile.scripts.commands.soc.design", lambda config: design(CONFIG))
    assert cli.main(["soc", "board", "-o", "made", "--json", "made.json"]) == 0
    values = json.loads((tmp_path / "made.json").read_text())
    assert not {path.name for path in tmp_path.iterdir()} - {"made", "made.json", "build"}, "files beside the folder"
    pins = (tmp_path / "made/soc.lpf").read_text()
    for pin in ("clk48", "serial_tx", "serial_rx", *(f"ddram_dq[{bit}]" for bit in range(16)), "ddram_clk_p"):
        assert f'LOCATE COMP "{pin}"' in pins
    top = (tmp_path / "made/soc.v").read_text()
    assert "trajectile_array array(" in top and "VexRiscv VexRiscv(" in top and "TSHX2DQSA" in top
    words = (tmp_path / "made/soc_rom.init").read_text().split()
    program = (tmp_path / "made/firmware/firmware.bin").read_bytes()
    assert 4 * len(words) >= len(program) == values["firmware_bytes"] > 4096 and values["dram_bytes"] == 128 << 20
    assert int(words[0], 16) == int.from_bytes(program[:4], "little")


def test_regions_that_differ():
    """A bit of a result, of a unit or of a completion record is seen, wherever it is."""
    one = job_of(batches=1)
    tiles, golden = one.descriptors(0), one.golden
    from trajectile.sw_model.batch.results import tile_region, unit_of
    good = []
    for tile, descriptor in enumerate(tiles):
        unit = unit_of(one.plan, tile, one.layer)
        state = descriptor.tokens << 16 | 1 << 8 | descriptor.tag
        record = np.zeros(16, dtype="<u4")
        record[[0, 2, 14, 15]] = state, 100 + tile, unit & 255, state
        good.append(record.tobytes() + tile_region(one.plan, tile, golden.results, unit).tobytes())
    assert [len(region) for region in good] == [job.region_bytes(CONFIG, one) for one in tiles]
    found, cycles = job.verdict(golden, tiles, good)
    assert found, found.message
    assert cycles == 101
    for at in (0, 14 * 4, 64, len(good[1]) - 16):
        bad = bytearray(good[1])
        bad[at] ^= 1
        assert not job.verdict(golden, tiles, [good[0], bytes(bad)])[0], at


@pytest.fixture(scope="module")
def machine():
    """A running system."""
    require_soc()
    with simulation.Board(simulation.build(CONFIG)) as running:
        assert running.command().endswith("2 tiles, layers of 3 x 4, 3 experts\nok\n")
        yield running


@pytest.mark.parametrize("more", [{"batches": 3}, {"bf16": True, "seed": 2, "batches": 1}, {"tokens": 1, "seed": 3},
                                  {"tokens": 3, "dataflow": "shared"},
                                  {"tokens": 2, "dataflow": "shared", "bf16": True, "seed": 4}])
def test_batches(machine, more):
    """Firmware, driver, CPU, LiteDRAM and array: results are the golden model's, as the firmware and as Python see them."""
    one = job_of(**more)
    done = run_job(machine, one)
    assert done.wrong == [], done.said
    assert len(done.cycles) == one.batches and all(a < b for a, b in zip(done.cycles, done.with_driver, strict=True))


def test_wrong_results_are_seen(machine):
    """Another expected result, another weight in the DRAM, an expert that does not exist: the firmware says so."""
    one = job_of(batches=1)
    assert run_job(machine, one).wrong == []
    wrong = bytearray(job.packed(one))
    wrong[-8 - 4 * CONFIG.layer.d_model] ^= 1  # the last token's first result; behind it the others, unit and clips
    machine.load(layout.JOB, bytes(wrong))
    said = machine.command(b"b\n")
    assert said.endswith("1 results differ\n" + said.splitlines()[-2] + "\nfailed\n") and "; expected" in said
    address, data = job.pieces(one)[1]
    machine.load(layout.JOB, job.packed(one))
    machine.load(address, bytes(byte ^ 0x55 for byte in data[:CONFIG.slice_bytes]))
    assert machine.command(b"b\n").endswith("failed\n")
    # The first token of tile 0 loses a choice; in its record there is an expert that does not exist in its place.
    ids = np.array(one.batch.topk_ids)
    ids[one.plan.tiles[0].records[0], 0] = -1
    dropped = replace(one, batch=replace(one.batch, topk_ids=ids), plan=planned(CONFIG, ids, "balanced", "spread"))
    illegal = bytearray(job.packed(dropped))
    at = 4 * (6 + CONFIG.array.tiles) + len(job.places(CONFIG)) + 4  # head, places, the token's exponent
    assert illegal[at:at + 2] == b"\xff\xff"
    illegal[at:at + 2] = CONFIG.layer.experts.to_bytes(2, "little")
    for address, data in job.pieces(dropped):
        machine.load(address, data)
    machine.load(layout.JOB, bytes(illegal))
    assert "errors 10000" in machine.command(b"b\n")
    assert run_job(machine, one).wrong == []


class Wire:
    """A serial port whose other end is the simulated UART."""

    def __init__(self, machine, spoil=lambda data: data):
        self.machine, self.spoil = machine, spoil
        self.mine, self.theirs = pty.openpty()
        tty.setraw(self.mine)
        self.path = Path(os.ttyname(self.theirs))
        self.thread = threading.Thread(target=self.carry)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        os.close(self.theirs)  # reading ends
        self.thread.join()
        os.close(self.mine)

    def carry(self):
        """A command is whole when nothing has come for a while."""
        data = b""
        while True:
            if not select.select([self.mine], [], [], 0.2 if data else None)[0]:
                before, self.machine.told = self.machine.told, lambda text: os.write(self.mine, text.encode("latin-1"))
                self.machine.command(self.spoil(data))
                self.machine.told, data = before, b""
                continue
            try:
                data += os.read(self.mine, 65536)
            except OSError:
                return


def test_by_serial_port(machine):
    """As on a board: everything goes through the UART, and Python sees what it sees beside it."""
    one = job_of(batches=2, tokens=3, seed=6)
    said = []
    with Wire(machine) as wire, Port(wire.path, 1_000_000, said.append) as board:
        assert board.command() == "ok\n"
        done = run_job(board, one)
    # no more of its cycles: the DRAM is refreshed in its own time
    assert done.wrong == [] and "batch 1: " in "".join(said) and len(done.cycles) == 2, done.said


def test_serial_port_spoils(machine):
    """A byte that comes otherwise is noticed; so is a board that does not answer."""
    with Wire(machine, lambda data: data.replace(b"x", b"y")) as wire, Port(wire.path, 1_000_000) as board:
        board.load(layout.MODEL, b"abc")
        with pytest.raises(ToolError, match="has not come through"):
            board.load(layout.MODEL, b"axc")
        assert board.dump(layout.MODEL, 3) == b"ayc"
    mine, theirs = pty.openpty()
    with Port(Path(os.ttyname(theirs)), 1_000_000, patience=0.1) as board, pytest.raises(ToolError, match="does not answer"):
        board.command()
    os.close(mine)
    os.close(theirs)


def test_memory_by_uart(machine):
    """What is written by UART is in the DRAM, and what is in the DRAM is read by UART; wrong commands are refused."""
    data = bytes(range(7, 47))
    before = machine.dump(layout.MODEL, 64)
    crc = f"crc {__import__('zlib').crc32(data):08x}\nok\n"
    assert machine.command(f"w {layout.MODEL + 5:x} {len(data):x}\n".encode() + data) == crc
    assert machine.dump(layout.MODEL, 64) == before[:5] + data + before[5 + len(data):]
    machine.load(layout.MODEL + 0x1000, b"spoken by the UART..")
    assert machine.command(f"r {layout.MODEL + 0x1000:x} 10\n".encode()).startswith("spoken by the UAcrc ")
    assert machine.command(b"r 7ffffff0 20\n") == "failed\n"
    assert machine.command(b"?") == "failed\n"
    assert machine.command(b"h\n") == "ok\n"
