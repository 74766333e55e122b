"""The firmware's part of the toy model as a program of this machine; the golden model stands for the array."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np

from trajectile.hw.params import Params
from trajectile.scripts.board import firmware, layout
from trajectile.scripts.soc import driver
from trajectile.scripts.soc.register_map import c_header
from trajectile.sw_model.batch.completion import Completion
from trajectile.sw_model.batch.records import read_records
from trajectile.sw_model.batch.results import tile_region, unit_of
from trajectile.sw_model.config import Config
from trajectile.sw_model.numerics.integer import QuantisedLayer, integer_layer
from trajectile.sw_model.schedule.dataflow import planned
from trajectile.tb.c_driver import Batch
from trajectile.tb.top import layer_pitch

RAM_BYTES = 0x100_0000
BRIDGE = """#include <stdarg.h>
#include "board.h"
int vsnprintf(char *, unsigned long, const char *, va_list);
unsigned char native_ram[RAM_BYTES];
unsigned char in[256], out[4096];
unsigned taken, given;
static const struct trajectile_batch *queued[TRAJECTILE_TILES];
int (*array)(const struct trajectile_batch *const *);

uint8_t get(void) { return in[taken++]; }
void put(uint8_t byte) { out[given++] = byte; }
int native_printf(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    given += (unsigned)vsnprintf((char *)out + given, 1000, format, values);
    va_end(values);
    return 0;
}
int native_puts(const char *text) { return native_printf("%s\\n", text); }
uint32_t cycles(int restart) { return restart ? 0 : 1234; }
void look_again(void) {}
uint32_t read32(uintptr_t address) { return address & 0; }
void write32(uintptr_t address, uint32_t value) { (void)address; (void)value; }
void relax(void) {}
int tiles_ready(const struct place *places, uint32_t watchdog) { return places && watchdog; }
uint32_t trajectile_queue(uintptr_t tile, const struct trajectile_batch *batch)
{
    queued[(tile - BOARD_HOST_BASE) / BOARD_HOST_STRIDE] = batch;
    return 0;
}
int batch_done(const struct trajectile_batch *batches) { return batches == queued[0] && array(queued); }
"""


class NativeFirmware:
    """A :class:`~trajectile.scripts.board.run.Machine` that knows the command for a text."""

    def __init__(self, config: Config, layers: list[QuantisedLayer], folder: Path):
        self.config, self.layers = config, layers
        data = Path(firmware.__file__).parent / "data"
        header = firmware.layout_header().replace(f"0x{layout.RAM_BASE:X}u", "native_ram")
        header += "extern unsigned char native_ram[];\n"
        texts = driver.files() | {"trajectile.h": c_header(Params(config)), "layout.h": header, "bridge.c": BRIDGE}
        for name in ("toy.c", "board.h", "include/stdio.h"):
            texts[name] = (data / name).read_text()
        for name, text in texts.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        common = ["gcc", *firmware.STRICT, "-O2", "-fPIC", "-I.", f"-DRAM_BYTES={RAM_BYTES}"]
        for name, extra in (("toy", ["-Iinclude", "-Dprintf=native_printf", "-Dputs=native_puts"]),
                            ("trajectile_driver", ["-Dtrajectile_queue=driver_queue"]), ("bridge", [])):
            subprocess.run([*common, *extra, "-c", f"{name}.c"], cwd=folder, check=True)
        subprocess.run(["gcc", "-shared", "toy.o", "trajectile_driver.o", "bridge.o", "-o", "firmware.so"], cwd=folder,
                       check=True)
        self.library = ctypes.CDLL(str(folder / "firmware.so"))
        self.ram = (ctypes.c_ubyte * RAM_BYTES).in_dll(self.library, "native_ram")
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.POINTER(Batch)))
        self.callback = kind(self.array)
        ctypes.c_void_p.in_dll(self.library, "array").value = ctypes.cast(self.callback, ctypes.c_void_p).value

    def load(self, address: int, data: bytes) -> None:
        """Fill a part of the DRAM."""
        ctypes.memmove(ctypes.byref(self.ram, address), data, len(data))

    def dump(self, address: int, count: int) -> bytes:
        """Read a part of the DRAM."""
        return bytes(self.ram[address:address + count])

    def command(self, data: bytes = b"") -> str:
        """``t LENGTH PROMPT`` and the prompt."""
        line, _, prompt = data.partition(b"\n")
        _, length, count = line.split()
        ctypes.memmove((ctypes.c_ubyte * 256).in_dll(self.library, "in"), prompt, len(prompt))
        for name in ("taken", "given"):
            ctypes.c_uint.in_dll(self.library, name).value = 0
        good = self.library.write_text(int(length, 16), int(count, 16))
        given = ctypes.c_uint.in_dll(self.library, "given").value
        said = bytes((ctypes.c_ubyte * 4096).in_dll(self.library, "out")[:given]).decode("latin-1")
        return said + ("ok\n" if good else "failed\n")

    def array(self, queued) -> int:
        """What the array makes of a batch."""
        config, first = self.config, queued[0].contents
        number, rest = divmod(first.layer, layer_pitch(config))
        assert not rest
        layer = self.layers[number]
        batch = read_records(config, np.frombuffer(self.dump(first.records, config.records_bytes(1)), dtype=np.uint8), 1)
        plan, results = planned(config, batch.topk_ids, "balanced", "spread"), integer_layer(config, layer, batch)
        for tile in range(config.array.tiles):
            one, unit = queued[tile].contents, unit_of(plan, tile, layer)
            record = Completion(one.tag, one.tokens, cycles=100, unit=unit).to_bytes(config)
            self.load(one.results, record + tile_region(plan, tile, results, unit).tobytes())
        return 1
