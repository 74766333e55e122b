"""Recorded waves, and the save file beside them."""

import re
from pathlib import Path

import pywellen


def check_save_file(waves: Path) -> None:
    """Every signal of the save file beside recorded waves is in them, with its width; of every tile there are some."""
    text = (waves.parent / "waves.gtkw").read_text()
    found = {}
    recorded = pywellen.Waveform(str(waves))
    for variable in recorded.all_vars():
        found[variable.full_name] = variable.bitwidth
    shown = re.findall(r"^(bench_top\.[\w.]+?)(?:\[(\d+):0\])?$", text, re.M)
    assert len(shown) > 60 and all(re.search(rf"dut\.events__{tile}__send\b", text) for tile in (0, 1))
    wrong = [name for name, high in shown if found.get(name) != int(high or 0) + 1]
    assert not wrong, wrong
