"""A language model continues a prompt; every MoE layer of every token runs on the generated Verilog and is checked.

The shape of CONFIG says which: demo is the toy model, smollm2-135m is SmolLM2-135M.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.again import again
from trajectile.scripts.command_line.batch import add_dataflow
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.errors import UserError
from trajectile.scripts.files import write_text
from trajectile.scripts.flow.chat import MOST_SEQUENCES, Totals, array_layers, capacity, continued
from trajectile.scripts.flow.speakers import Speaker, Tokens, speaker_of, toy_speaker
from trajectile.scripts.report import layers
from trajectile.sw_model.config import Config
from trajectile.sw_model.gates.toy_model import MoeLayer
from trajectile.sw_model.schedule.scheduler import ORDERS

#: the configuration without CONFIG
DEFAULT_CONFIG = "demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile chat``."""
    add_text_arguments(parser)
    parser.add_argument("--report", metavar="FILE", type=Path, help="also write a page: the layers over time")


def add_text_arguments(parser: argparse.ArgumentParser) -> None:
    """Those that choose the text."""
    parser.add_argument("--prompt", metavar="TEXT",
                        help="what is continued: the toy model has read Python, SmolLM2 English (default: one of each)")
    parser.add_argument("--bytes", "--tokens", metavar="N", type=int,
                        help="tokens to write; those of the toy model are bytes (default 64, of SmolLM2 8)")
    parser.add_argument("--sequences", metavar="N", type=int, default=1,
                        help=f"texts at once, 1 to {MOST_SEQUENCES}: the batch of every layer (default 1)")
    parser.add_argument("--temperature", metavar="T", type=float, default=0.5,
                        help="0 takes the likeliest token, 1 draws as the model says (default 0.5)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the draws (default 1)")
    parser.add_argument("--order", choices=ORDERS, default="balanced", help="load order (default balanced)")
    add_dataflow(parser)
    parser.add_argument("--model-only", action="store_true", help="the golden model alone: the same text without Verilog")


def checked(args: argparse.Namespace, config: Config, speaker: Speaker) -> Tokens:
    """The prompt's tokens; what the user has not said is set.

    Raises:
        UserError: for numbers out of range, or no prompt.
    """
    args.prompt = speaker.prompt if args.prompt is None else args.prompt
    args.bytes = speaker.length if args.bytes is None else args.bytes
    for name, low, high in (("bytes", 1, 100_000), ("sequences", 1, min(MOST_SEQUENCES, capacity(config, args.dataflow))),
                            ("temperature", 0, 100)):
        value = getattr(args, name)
        if not low <= value <= high:
            raise UserError(f"--{name} = {value} is not legal; legal values: {low} to {high}")
    prompt = speaker.encoded(args.prompt)
    if not len(prompt):
        raise UserError("--prompt = '' is not legal; legal: at least one byte")
    return prompt


@dataclass(frozen=True)
class Said:
    """What came of a prompt."""

    #: [sequences, tokens]
    written: Tokens
    #: of prompt and text
    whole: Totals
    #: cycles and tokens of the steps after the prompt
    cycles: int
    tokens: int
    seconds: float


def texts_of(args: argparse.Namespace, config: Config, prompt: Tokens, speaker: Speaker, moe: MoeLayer) -> Iterator[Tokens]:
    """The tokens that the arguments ask for, [sequences] each."""
    return continued(speaker, moe, prompt, length=args.bytes, sequences=args.sequences, temperature=args.temperature,
                     seed=args.seed, capacity=capacity(config, args.dataflow))


def speak(args: argparse.Namespace, config: Config, prompt: Tokens, speaker: Speaker, console: Console, folder: Path) -> Said:
    """Continue the prompt; one text alone is shown as it comes."""
    found: list[Tokens] = []

    def show_text(text: str, **options: Any) -> None:
        if args.sequences == 1:
            console.print(text, end="", highlight=False, markup=False, soft_wrap=True, **options)
    with ExitStack() as stack:
        with terminal.status(f"reading {speaker.name}") as line:
            moe = stack.enter_context(array_layers(config, speaker, order=args.order, dataflow=args.dataflow,
                                                   rtl=not args.model_only, folder=folder, say=line.update))
        began, totals, before = time.monotonic(), moe.totals, Totals()
        show_text(speaker.shown(prompt), style="dim")
        for drawn in texts_of(args, config, prompt, speaker, moe):
            if not found:  # what the prompt has cost is known when the first token is here
                before = replace(totals)
            found.append(drawn)
            show_text(speaker.shown(drawn))
        seconds = time.monotonic() - began
    return Said(np.stack(found, axis=1), totals, totals.cycles - before.cycles,
                (totals.tokens - before.tokens) // speaker.blocks, seconds)


def summary(args: argparse.Namespace, config: Config, speaker: Speaker, said: Said, exact: Tokens) -> dict[str, Any]:
    """What ``--json`` writes."""
    texts, whole = [speaker.shown(text) for text in said.written], said.whole
    return {
        "config": {"name": config.name, **config.as_dict}, "model": speaker.name,
        "prompt": args.prompt, "text": texts[0], "texts": texts,
        "float32": [speaker.shown(text) for text in exact], "rtl": not args.model_only, "equal": not whole.wrong,
        "wrong": whole.wrong, "tokens": int(said.written.size), "sequences": args.sequences,
        "dataflow": args.dataflow,
        "blocks": speaker.blocks, "runs": whole.runs,
        "batches": whole.batches, "cycles": whole.cycles, "roofline_cycles": whole.roofline,
        # a text of one token is all prompt
        "cycles_per_token": said.cycles / said.tokens if said.tokens else None,
        "over_roofline": whole.cycles / whole.roofline,
        "seconds": round(said.seconds, 2), "tokens_per_second": round(said.written.size / max(said.seconds, 1e-9), 2),
        "seed": args.seed, "temperature": args.temperature,
    }


def show(console: Console, values: dict[str, Any]) -> None:
    """Texts, if there are several, and what float32 writes; what they cost, and whether everything was equal."""
    def say(text: str = "", **options: Any) -> None:
        console.print(text, highlight=False, soft_wrap=True, **options)

    if values["sequences"] == 1:
        say()
    else:
        for number, text in enumerate(values["texts"]):
            say(f"[bold]text {number + 1}[/]")
            say(values["prompt"], end="", style="dim", markup=False)
            say(text, markup=False)
    say()
    if values["texts"] == values["float32"]:
        say("float32 writes   the same")
    else:
        say("float32 writes", style="bold")
        for text in values["float32"]:
            say(text, style="dim", markup=False)
    if not values["rtl"]:
        verdict = "golden model alone"
    elif values["equal"]:
        verdict = "[green]equal[/]: results and cycles of every layer are the golden model's"
    else:
        verdict = f"[bold red]NOT EQUAL[/] {values['wrong'][0]}"
    per_token = "" if values["cycles_per_token"] is None else f", {values['cycles_per_token']:,.0f} cycles a token"
    say(f"MoE layers       {values['batches']} batches{' through the Verilog' if values['rtl'] else ''}: {verdict}")
    say(f"cycles           {values['cycles']:,}{per_token}, {values['over_roofline']:.3f} of the roofline")
    say(f"this machine     {values['tokens']} tokens in {values['seconds']:.1f} s, "
        f"{values['tokens_per_second']:.{1 if values['tokens_per_second'] >= 1 else 2}f} a second")


def written(config: Config, console: Console, length: int) -> dict[str, Any]:
    """The toy model writes a few bytes with everything else as by default: shown on the console, and as ``--json`` has it."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return answered(parser.parse_args(["--bytes", str(length)]), config, console)


def blocks() -> int:
    """MoE layers of the toy model."""
    return toy_speaker().blocks


def answered(args: argparse.Namespace, config: Config, console: Console) -> dict[str, Any]:
    """Continue the prompt, show what came of it, and return it.

    Raises:
        UserError: for wrong arguments, or a configuration of another shape.
        ToolError: if its model is not installed.
    """
    speaker = speaker_of(config)
    prompt = checked(args, config, speaker)
    with tempfile.TemporaryDirectory() as folder:
        said = speak(args, config, prompt, speaker, console, Path(folder))
    exact = np.stack(list(texts_of(args, config, prompt, speaker, speaker.exact)), axis=1)
    values = summary(args, config, speaker, said, exact)
    show(console, values)
    return values


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile chat``."""
    console = terminal.console(args)
    values = answered(args, config, console)
    if args.report:
        write_text(args.report, layers.chat_page(values, again(args, "chat", add_text_arguments)))
        console.print(f"report           {args.report}", highlight=False, soft_wrap=True)
    terminal.answer(args, values)
    return Exit.DONE if values["equal"] else Exit.NOT_EXACT
