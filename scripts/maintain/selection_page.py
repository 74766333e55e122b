"""Batches that make do with fewer experts, for docs/selection.md: what that gains, and what it costs the toy model.

``python -m trajectile.scripts.maintain.selection_page FOLDER`` writes tables and plot; the folder has the gate traces
``flame-moe-290m.npz`` and ``qwen1.5-moe-a2.7b.npz``.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from trajectile.scripts.command_line import terminal
from trajectile.scripts.maintain import pages
from trajectile.scripts.maintain.cycles_page import FLAME, QWEN, Commands
from trajectile.scripts.maintain.toy_model.fewer_experts import Measured, Way, measure
from trajectile.scripts.plots import comparison as plots
from trajectile.scripts.report.markdown import table_rows
from trajectile.sw_model.config import load
from trajectile.sw_model.gates import toy_model
from trajectile.sw_model.gates.selection import Selection

PAGE, TOY, TRACES, PLOT = "selection.md", "selection toy", "selection traces", "selection.png"
FOLDER = Path("build/selection")
#: tokens of a batch, and shares of its experts
SIZES, SHARES = (16, 64), (0.9, 0.8, 0.7, 0.6, 0.5)
#: rules, and whether tokens choose again
RULES = {"XShare": ("xshare", False), "XShare, chosen again": ("xshare", True), "Lynx": ("lynx", False)}
ALL = Way("all experts")
COMPARED = {
    "FLAME": f"compare deepseek-moe-16b --trace {FLAME} --layer 5 --tokens 4,16,64 --strategies fse,ep --orders balanced",
    "Qwen1.5": f"compare qwen1.5-moe-a2.7b --trace {QWEN} --layer 12 --tokens 4,16,64 --strategies fse,ep --orders balanced",
}
SELECTED = ("xshare:0.7", "lynx:0.7")


def ways(shares: Sequence[float] = SHARES) -> list[Way]:
    """All experts, then each rule with each share."""
    return [ALL, *(Way(name, Selection(method, share), again) for name, (method, again) in RULES.items() for share in shares)]


def measured(sizes: Sequence[int] = SIZES, shares: Sequence[float] = SHARES, texts: int | None = None) -> list[Measured]:
    """Every way with every batch size, on the first ``texts`` of the held-out text; None: all."""
    model, recorded = toy_model.load()
    text, config = recorded.held_out[:texts], load("demo")
    jobs = [(way, tokens) for tokens in sizes for way in ways(shares)]
    return [measure(config, model, text, way, tokens) for way, tokens in terminal.tracked(jobs, "ways", len(jobs))]


def toy(found: Sequence[Measured]) -> Iterator[str]:
    """A row for each way; the reference of a batch size is its row with all experts."""
    whole = {one.tokens: one for one in found if one.way == ALL}
    yield from table_rows(("tokens", "rule", "share", "experts of a batch", "choices of a token", "cycles per token",
                           "times as fast", "bits per byte", "over all experts"), (
        (one.tokens, one.way.name, f"{one.way.rule.share:.1f}" if one.way.rule else "", f"{one.experts:.1f}",
         f"{one.choices:.2f}", f"{one.cycles_per_token:,.0f}",
         f"{whole[one.tokens].cycles_per_token / one.cycles_per_token:.2f}", f"{one.bits_per_byte:.4f}",
         f"{one.bits_per_byte / whole[one.tokens].bits_per_byte:.4f}") for one in found))


def draw(found: Sequence[Measured], path: Path) -> None:
    """Bits per byte over cycles per token; a curve for each rule."""
    curves = {tokens: {name: [(one.cycles_per_token, one.bits_per_byte) for one in found
                              if one.tokens == tokens and one.way.name in (ALL.name, name)] for name in RULES}
              for tokens in dict.fromkeys(one.tokens for one in found)}
    plots.curves({f"{tokens} tokens in a batch": lines for tokens, lines in curves.items()}, path, "cycles per token",
                 "bits per byte")


def traces(commands: Commands) -> Iterator[str]:
    """Layers of full size, with and without fewer experts."""
    def rows() -> Iterator[tuple[object, ...]]:
        for name, command in COMPARED.items():
            found = [commands.answer(line, "-o", str(FOLDER / name)) for line in
                     (command, *(f"{command} --select {select}" for select in SELECTED))]
            for ours in zip(*([one for one in entries if one["strategy"] == "fse"] for entries in found), strict=True):
                yield (name, ours[0]["tokens"], f"{ours[0]['active_experts']:.1f}", f"{ours[0]['cycles']:,.0f}", *(
                    text for one in ours[1:] for text in (
                        f"{one['active_experts']:.1f}", f"{ours[0]['cycles'] / one['cycles']:.2f}",
                        f"{one['speedup_over_ep']:.2f}")))
    yield from table_rows(("trace", "tokens", "experts", "cycles", *(
        f"`{select}`: {text}" for select in SELECTED for text in ("experts", "times as fast", "vs EP"))), rows())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="selection_page", description=__doc__)
    parser.add_argument("traces", metavar="FOLDER", type=Path, help="with the gate traces")
    args = parser.parse_args(arguments)
    pages.write_part(PAGE, TRACES, "\n".join(traces(Commands(args.traces))))
    found = measured()
    pages.write_part(PAGE, TOY, "\n".join(toy(found)))
    draw(found, pages.DOCS / PLOT)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
