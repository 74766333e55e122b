"""Tables that a person can read."""

from typing import Any

from rich.table import Table


def _verdict(value: bool | None, message: str) -> str:
    if value is None:
        return message
    return f"[green]exact[/] ({message})" if value else f"[bold red]NOT EXACT[/] {message}"


def per_token(values: dict[str, Any], tokens: int) -> str:
    """How near the integer layer's tokens come to float32, each by itself: what one cosine for all can hide."""
    text = f"cosine of the median {values['cosine_median']:.5f}, of the worst {values['cosine_worst']:.5f}"
    for key, meaning in (("zeroed", "all zero"), ("clipped", f"with {values['clips']:,} clips")):
        if values[key]:
            text += f"; [bold red]{values[key]} of {tokens} {meaning}[/]"
    return text


def simulation_table(values: dict[str, Any]) -> Table:
    """Exactness, cycles, utilisation, wall time."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    roof, use = values["roofline"], values["utilisation"]
    bound = max(roof, key=roof.get)
    table.add_row("results", _verdict(values["results_exact"], values["results"]))
    table.add_row("events", _verdict(values["events_exact"], values["events"]))
    table.add_row("cycles", f"RTL {values['cycles_rtl']:,}, model {values['cycles_model']:,}, "
                            f"roofline {values['roofline_cycles']:,} ({bound}): "
                            f"{values['cycles_rtl'] / max(values['roofline_cycles'], 1):.3f} of the roofline")
    after = values["cycles_rtl"] - values["first_load_cycles"] - values["streaming_cycles"] + 1
    table.add_row("of these", f"{values['first_load_cycles']:,} from the doorbell to the first DDR address, "
                              f"{values['streaming_cycles']:,} of streaming, {max(after, 0):,} until the completion record")
    ddr = values["ddr_cycles"]
    table.add_row("last DDR channel", f"{ddr['start']:,} cycles to its first beat, {ddr['busy']:,} beats, "
                                      f"{ddr['idle']:,} idle, {ddr['tail']:,} after its last")
    table.add_row("busy", ", ".join(f"{name.upper()} {share:.0%}" for name, share in use.items()))
    if values["fidelity"]:
        table.add_row("integer layer", f"cosine {values['fidelity']['cosine']:.5f}, "
                                       f"SQNR {values['fidelity']['sqnr_db']:.1f} dB against {values['fidelity']['against']}")
        table.add_row("its tokens", per_token(values["fidelity"], values["tokens"]))
    table.add_row("seconds", ", ".join(f"{name} {seconds:.1f}" for name, seconds in values["wall_seconds"].items()))
    table.add_row("files", values["files"])
    return table
