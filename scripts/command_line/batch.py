"""Arguments of every command that runs a batch, and the batch that they describe."""

import argparse
from pathlib import Path

from rich.console import Console

from trajectile.scripts.area.technology import Technology
from trajectile.scripts.command_line import terminal
from trajectile.scripts.errors import ToolError
from trajectile.scripts.flow import simulation, workload
from trajectile.scripts.flow.simulation import Simulation
from trajectile.sw_model.config import Config
from trajectile.sw_model.gates.reading import LEGAL
from trajectile.sw_model.schedule.dataflow import WISHES
from trajectile.sw_model.schedule.scheduler import ORDERS
from trajectile.tb.runner import SimulationError


def add_workload_arguments(parser: argparse._ActionsContainer) -> None:
    """Arguments that choose a batch."""
    parser.add_argument("--trace", metavar="FILE", type=Path,
                        help="gate trace: .npz, .npy or JSON lines (docs/import.md); without one the toy model's, if the "
                             "layer has its shape, else the gate of --weights, else a synthetic one")
    add_trace_as(parser)
    parser.add_argument("--weights", metavar="FILE", type=Path,
                        help="layer.safetensors of trajectile import (default: random weights)")
    parser.add_argument("--activations", metavar="FILE", type=Path,
                        help="inputs of the layer, .npy [tokens, d_model] (default: normal noise)")
    parser.add_argument("--layer", metavar="L", type=int, help="layer of the trace (default: its first)")
    parser.add_argument("--offset", metavar="K", type=int, default=0, help="first token of the window (default 0)")
    parser.add_argument("--tokens", metavar="N", type=int, default=None, help="tokens of the batch (default: 64, or "
                        "what fits)")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random (default 1)")
    parser.add_argument("--skew", type=float, default=workload.DEFAULT_SKEW,
                        help=f"unevenness of the synthetic gate, 0 = even (default {workload.DEFAULT_SKEW})")
    add_select(parser)


def add_trace_as(parser: argparse._ActionsContainer) -> None:
    """The option of every command that reads a trace."""
    parser.add_argument("--trace-as", metavar="KEY=VALUE", action="append", default=[],
                        help=f"how a trace is read that leaves it open; keys: {', '.join(LEGAL)} (docs/import.md); may be "
                             "repeated")


def add_select(parser: argparse._ActionsContainer) -> None:
    """The option that makes do with fewer experts."""
    parser.add_argument("--select", metavar="RULE:SHARE", help="keep this share of each batch's active experts, by the rule "
                        "xshare or lynx (xshare:0.7): fewer bytes from DDR, and other results (docs/selection.md)")


def add_dataflow(parser: argparse._ActionsContainer, of: str = "") -> None:
    """The option that says what travels; ``of``: for which strategy alone."""
    parser.add_argument("--dataflow", choices=WISHES, default="spread", help=f"{of}slices travel to each tile's tokens "
                        "(spread), every tile holds all tokens (shared; docs/dataflows.md), or by the batch (default spread)")


def workload_of(args: argparse.Namespace, config: Config, *, gate_only: bool = False) -> workload.Workload:
    """The batch that :func:`add_workload_arguments` describes.

    Raises:
        UserError: as :func:`trajectile.scripts.flow.workload.load`.
    """
    given = {name: getattr(args, name) for name in workload.Source.__dataclass_fields__}
    return workload.load(config, gate_only=gate_only, **given)


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say which batch runs, and on what."""
    add_workload_arguments(parser)
    parser.add_argument("--order", choices=ORDERS, default="balanced", help="load order (default balanced)")
    add_dataflow(parser)
    parser.add_argument("--simulator", choices=simulation.SIMULATORS,
                        help="verilator and icarus (apt install iverilog) run under cocotb; native is Verilator's model "
                        "without Python in the loop (default verilator; native with --timing-only)")
    parser.add_argument("--timing-only", action="store_true", help="controllers only: events, no results")


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of every command that runs a batch and keeps a folder of it."""
    add_batch_arguments(parser)
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, help="folder for logs and waves "
                        "(default build/run/CONFIG)")


def simulated(args: argparse.Namespace, config: Config, console: Console, folder: Path, *, waves: bool = False,
              cells: Technology | None = None, ddr: str = "", layers: int = 1) -> Simulation:
    """Simulate what the arguments say, with progress on the console; ``waves``, ``cells``, ``ddr`` and ``layers`` as for
    :func:`trajectile.scripts.flow.simulation.simulate`.

    Raises:
        UserError: if the batch is wrong.
        ToolError: if the simulator is missing or fails.
    """
    with terminal.status("making the batch"):
        load = workload_of(args, config, gate_only=args.timing_only)
    args.simulator = args.simulator or simulation.usual_simulator(
        timing_only=args.timing_only, gate_level=cells is not None, independent=config.array.independent)
    console.print(f"[bold]{config.name}[/]: {load.source}, order {args.order}, {args.simulator}, seed {args.seed}",
                  highlight=False)
    with terminal.status("scheduling") as line:
        try:
            return simulation.simulate(config, load, folder=folder, order=args.order, dataflow=args.dataflow,
                                       simulator=args.simulator, waves=waves,
                                       timing_only=args.timing_only, cells=cells, ddr=ddr, layers=layers,
                                       say=line.update)
        except SimulationError as error:
            raise ToolError(str(error)) from error
