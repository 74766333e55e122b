"""The toy model continues a prompt; every MoE layer of every byte runs on the generated Verilog and is checked."""

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
from trajectile.scripts.command_line.batch import add_dataflow
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.errors import UserError
from trajectile.scripts.flow.chat import MOST_SEQUENCES, Totals, array_layers, capacity, continued
from trajectile.sw_model.config import Config
from trajectile.sw_model.gates import toy_model
from trajectile.sw_model.gates.toy_model import Bytes, MoeLayer, Recorded, ToyModel
from trajectile.sw_model.schedule.scheduler import ORDERS

#: the configuration without CONFIG
DEFAULT_CONFIG = "demo"
PROMPT = "    def __init__(self, name):\n"
#: characters that a text is shown as: what is no printable ASCII would move the cursor
SHOWN = {byte: chr(byte) if 32 <= byte < 127 or byte == 10 else "\N{MIDDLE DOT}" for byte in range(256)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile chat``."""
    parser.add_argument("--prompt", metavar="TEXT", default=PROMPT,
                        help="what is continued: the toy model has read Python (default: the head of a method)")
    parser.add_argument("--bytes", metavar="N", type=int, default=64, help="bytes to write (default 64)")
    parser.add_argument("--sequences", metavar="N", type=int, default=1,
                        help=f"texts at once, 1 to {MOST_SEQUENCES}: the batch of every layer (default 1)")
    parser.add_argument("--temperature", metavar="T", type=float, default=0.5,
                        help="0 takes the likeliest byte, 1 draws as the model says (default 0.5)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the draws (default 1)")
    parser.add_argument("--order", choices=ORDERS, default="balanced", help="load order (default balanced)")
    add_dataflow(parser)
    parser.add_argument("--model-only", action="store_true", help="the golden model alone: the same text without Verilog")


def checked(args: argparse.Namespace, config: Config) -> Bytes:
    """The prompt's bytes, uint8.

    Raises:
        UserError: for numbers out of range, or no prompt.
    """
    for name, low, high in (("bytes", 1, 100_000), ("sequences", 1, min(MOST_SEQUENCES, capacity(config, args.dataflow))),
                            ("temperature", 0, 100)):
        value = getattr(args, name)
        if not low <= value <= high:
            raise UserError(f"--{name} = {value} is not legal; legal values: {low} to {high}")
    prompt = np.frombuffer(args.prompt.encode(), dtype=np.uint8)
    if not len(prompt):
        raise UserError("--prompt = '' is not legal; legal: at least one byte")
    return prompt


@dataclass(frozen=True)
class Said:
    """What came of a prompt."""

    #: uint8 [sequences, bytes]
    written: Bytes
    #: of prompt and text
    whole: Totals
    #: cycles and tokens of the steps after the prompt
    cycles: int
    tokens: int
    seconds: float


def shown(written: Bytes) -> str:
    """Bytes as a person can read them."""
    return "".join(SHOWN[byte] for byte in written.tolist())


def texts_of(args: argparse.Namespace, config: Config, prompt: Bytes, model: ToyModel, moe: MoeLayer) -> Iterator[Bytes]:
    """The bytes that the arguments ask for, uint8 [sequences] each."""
    return continued(model, moe, prompt, length=args.bytes, sequences=args.sequences, temperature=args.temperature,
                     seed=args.seed, capacity=capacity(config, args.dataflow))


def speak(args: argparse.Namespace, config: Config, prompt: Bytes, model: ToyModel, recorded: Recorded, console: Console,
          folder: Path) -> Said:
    """Continue the prompt; one text alone is shown as it comes."""
    found: list[Bytes] = []

    def show_bytes(text: Bytes, **options: Any) -> None:
        if args.sequences == 1:
            console.print(shown(text), end="", highlight=False, markup=False, soft_wrap=True, **options)
    with ExitStack() as stack:
        with terminal.status("reading the toy model") as line:
            moe = stack.enter_context(array_layers(config, model, recorded, order=args.order, dataflow=args.dataflow,
                                                   rtl=not args.model_only, folder=folder, say=line.update))
        began, totals, before = time.monotonic(), moe.totals, Totals()
        show_bytes(prompt, style="dim")
        for drawn in texts_of(args, config, prompt, model, moe):
            if not found:  # what the prompt has cost is known when the first byte is here
                before = replace(totals)
            found.append(drawn)
            show_bytes(drawn)
        seconds = time.monotonic() - began
    return Said(np.stack(found, axis=1), totals, totals.cycles - before.cycles,
                (totals.tokens - before.tokens) // len(model.blocks), seconds)


def summary(args: argparse.Namespace, config: Config, said: Said, exact: Bytes) -> dict[str, Any]:
    """What ``--json`` writes."""
    texts, whole = [shown(text) for text in said.written], said.whole
    return {
        "config": {"name": config.name, **config.as_dict}, "prompt": args.prompt, "text": texts[0], "texts": texts,
        "float32": [shown(text) for text in exact], "rtl": not args.model_only, "equal": not whole.wrong,
        "wrong": whole.wrong, "tokens": int(said.written.size), "sequences": args.sequences,
        "dataflow": args.dataflow,
        "batches": whole.batches, "cycles": whole.cycles, "roofline_cycles": whole.roofline,
        # a text of one byte is all prompt
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
        f"{values['tokens_per_second']:.1f} a second")


def written(config: Config, console: Console, length: int) -> dict[str, Any]:
    """The toy model writes a few bytes with everything else as by default: shown on the console, and as ``--json`` has it."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return answered(parser.parse_args(["--bytes", str(length)]), config, console)


def blocks() -> int:
    """MoE layers of the toy model."""
    return len(toy_model.load()[0].blocks)


def answered(args: argparse.Namespace, config: Config, console: Console) -> dict[str, Any]:
    """Continue the prompt, show what came of it, and return it.

    Raises:
        UserError: for wrong arguments, or a configuration of another shape.
    """
    prompt = checked(args, config)
    model, recorded = toy_model.load()
    with tempfile.TemporaryDirectory() as folder:
        said = speak(args, config, prompt, model, recorded, console, Path(folder))
    exact = np.stack(list(texts_of(args, config, prompt, model, model.exact)), axis=1)
    values = summary(args, config, said, exact)
    show(console, values)
    return values


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile chat``."""
    values = answered(args, config, terminal.console(args))
    terminal.answer(args, values)
    return Exit.DONE if values["equal"] else Exit.NOT_EXACT
