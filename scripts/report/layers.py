"""Pages of ``chat`` and ``model``: a whole model's layers over time, and what the time is made of. They need no script."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from trajectile.scripts.report import charts, templates

#: parts of a batch's time
PARTS = {"before": "until the first DDR address: records, lists, counts",
         "streaming": "from the first load to the last release", "after": "results and completion record"}
#: what lies between the batches of a model
REST = {"rest": "attention, gates, dense layers, output matrix"}
#: bars that a page shows one by one; of more, those of a step are one
MOST_BARS = 400


def parts_of(row: Mapping[str, Any]) -> dict[str, float]:
    """Cycles of a batch by part."""
    before, streaming = row["first_load_cycles"], row["streaming_cycles"]
    return {"before": before, "streaming": streaming, "after": row["cycles"] - before - streaming}


def _summed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several batches as one."""
    keys = ("tokens", "cycles", "roofline", "first_load_cycles", "streaming_cycles")
    return {"batches": len(rows)} | {key: sum(row[key] for row in rows) for key in keys}


def chat_page(found: Mapping[str, Any], command: str) -> str:
    """The page of a text; ``found`` is what ``trajectile chat --json`` writes."""
    runs, blocks = found["runs"], found["blocks"]
    grouped = len(runs) > MOST_BARS
    bars = [_summed(runs[at:at + blocks]) for at in range(0, len(runs), blocks)] if grouped else runs
    layers = [_summed([run for run in runs if run["layer"] == layer]) for layer in range(blocks)]
    layers = [row | {"parts": parts_of(row)} for row in layers]
    equal = (("model", "golden model alone, no Verilog", "") if not found["rtl"] else
             ("equal", "results and cycles of every layer", "good") if found["equal"] else
             ("NOT EQUAL", found["wrong"][0], "bad"))
    cards = [equal, (f"{found['tokens']:,}", "tokens written", ""),
             (f"{found['cycles']:,}", f"cycles of {len(runs):,} batches", "")]
    if found["cycles_per_token"] is not None:
        cards.append((f"{found['cycles_per_token']:,.0f}", "cycles a token, after the prompt", ""))
    cards.append((f"{found['over_roofline']:.3f}", "of the roofline", ""))
    edges = [0]
    for bar in bars:
        edges.append(edges[-1] + bar["cycles"])
    tokens = sum(run["tokens"] for run in runs) // blocks
    return templates.render(
        "chat.html", found, command=command, version=version("trajectile"), kind="a text through the array",
        title=f"{found['model']} writes", cards=cards,
        about=f"{found['config']['name']}: every MoE layer of every step is a batch "
              f"{'through the Verilog' if found['rtl'] else 'of the golden model'}; {found['sequences']} "
              f"sequence{'s' * (found['sequences'] > 1)}, {tokens:,} tokens through each layer, the prompt's included.",
        parts=PARTS, grouped=grouped, pieces=len(runs) // blocks - found["tokens"] // found["sequences"] + 1,
        highest=max(bar["cycles"] for bar in bars), bar_count=f"{len(bars):,}",
        bars=charts.columns([parts_of(bar) for bar in bars], [bar["roofline"] for bar in bars],
                            "Cycles of each batch by part, and its roofline"),
        shares=charts.steps(edges, [bar["roofline"] / bar["cycles"] for bar in bars], "d2d", "Share of the roofline"),
        layers=layers, longest=max(row["cycles"] for row in layers),
        layer_rows=[[number, row["batches"], *(f"{row[key]:,}" for key in ("tokens", "cycles")),
                     *(f"{value:,}" for value in row["parts"].values()), f"{row['roofline']:,}",
                     f"{row['cycles'] / row['roofline']:.3f}"] for number, row in enumerate(layers)])


def model_page(found: Mapping[str, Any], command: str) -> str:
    """The page of a whole model; ``found`` is what ``trajectile model --json`` writes."""
    sizes = []
    for number in dict.fromkeys(row["sequences"] for row in found["rows"]):
        rows = []
        for row in (row for row in found["rows"] if row["sequences"] == number):
            scale = row["moe_us"] / row["layer_cycles"]
            parts = {name: value * scale for name, value in parts_of(row | {"cycles": row["layer_cycles"]}).items()}
            energy = {name: row[f"{key}_uj_per_token"] for name, key in (("ddr", "ddr"), ("d2d", "d2d"), ("mac", "tiles"))}
            rows.append(row | {"parts": parts | {"rest": row["rest_us"]}, "energy": energy})
        sizes.append({
            "sequences": number, "rows": rows, "best": max(row["tokens_per_second"] for row in rows),
            "longest": max(row["step_us"] for row in rows),
            "most_energy": max(1e-9, *(row["uj_per_token"] for row in rows)),
            "step": charts.sequence(rows[0]["parts"], found["moe_layers"], f"A step of {number} sequences")})
    everything = [row for size in sizes for row in size["rows"]]

    def card(row: Mapping[str, Any], what: str) -> tuple[str, str, str]:
        return (f"{row['tokens_per_second']:,.1f}", f"tokens a second{what}: {row['strategy']}, {row['sequences']} "
                f"sequence{'s' * (row['sequences'] > 1)}", "")
    cards = [card(max(everything, key=lambda row: float(row["tokens_per_second"])), " at most"), card(everything[0], ""),
             (f"{found['moe_layers']}", "MoE layers", ""), (f"{found['mhz']:g}", "MHz", "")]
    rest = "as given" if found["rest"]["given_us"] is not None else "a roofline of its bytes, without arithmetic"
    return templates.render(
        "model.html", found, command=command, version=version("trajectile"), kind="a whole model on an array", cards=cards,
        title=f"{found['config']['name']} on an array",
        about="Timeline model, whose cycles are those of the RTL, for the MoE layers: each a batch alone from its doorbells "
              f"to its last completion record. The rest of a step is {rest}.",
        parts=PARTS | REST, sizes=sizes, first=sizes[0]["rows"][0]["strategy"],
        time_rows=[[row["sequences"], row["strategy"], f"{row['tokens_per_second']:,.1f}", f"{row['step_us'] / 1000:,.2f}",
                    *(f"{value / 1000:,.2f}" for value in row["parts"].values()), f"{row['over_roofline']:.3f}",
                    f"{row['layer_cycles'] / row['layer_roofline']:.3f}", f"{row['ddr_bytes_per_token'] / 1e6:,.0f}"]
                   for row in everything],
        memory_rows=[[row["sequences"], row["strategy"],
                      *(f"{row[key] / 1000:,.0f}" for key in ("weight_bytes", "token_bytes"))] for row in everything])
