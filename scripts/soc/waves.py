"""Save files for GTKWave: what a batch does, tile by tile, in the waves of ``trajectile simulate --waves``."""

from collections.abc import Sequence

from trajectile.scripts.soc.ports import Port
from trajectile.sw_model.config import Config
from trajectile.tb.top import TOP

#: the array in the waves of both simulators
SCOPE = f"{TOP}.dut"
#: hexadecimal, right justified; shown as a group's title
_HEX, _TITLE = "@22", "@200"
#: events in the order in which a slice lives through them
_EVENTS = ("load", "load_slot", "load_expert", "load_index", "load_batch", "loaded", "loaded_slot", "grant", "grant_slot",
           "grant_expert", "grant_index", "grant_batch", "arrived", "arrived_slot", "compute", "compute_slot", "computed",
           "computed_slot", "send", "send_slot", "send_escape", "send_cut", "sent", "sent_slot", "release")
#: steps of a batch, in their order
_PHASES = ("doorbell", "begin", "lists", "rows", "count", "formed", "pick", "pick_expert", "finished", "summed", "written",
           "complete")


def groups(config: Config, array: Sequence[Port]) -> dict[str, list[Port]]:
    """Title to ports of the array: clock and interrupts, then for each tile its events, DDR, io and host ports."""
    ports = {port.name: port for port in array}
    own = [name for name in ports if name.startswith(("clocks__", "resets__"))]
    shown = {"array": [ports[name] for name in (*(own or ("clk", "rst")), "irq", "link_hold")]}
    for tile in range(config.array.tiles):
        shown[f"tile {tile}: what batches do"] = [
            ports[name] for name in (f"phases__{tile}__{phase}" for phase in _PHASES) if name in ports]
        shown[f"tile {tile}: what the rules do"] = [ports[f"events__{tile}__{name}"] for name in _EVENTS]
        if tile in config.array.ddr_tiles:
            prefix = f"ddr__{config.array.ddr_tiles.index(tile)}__"
            shown[f"tile {tile}: DDR"] = [port for port in array if port.name.startswith(prefix)]
        shown[f"tile {tile}: io"] = [port for port in array if port.name.startswith(f"io__{tile}__")]
        shown[f"tile {tile}: host"] = [port for port in array if port.name.startswith(f"host__{tile}__")]
    return shown


def gtkwave(config: Config, array: Sequence[Port]) -> str:
    """Text of the save file, for the ports of the array."""
    lines = [f"[*] Trajectile, configuration '{config.name}': waves of trajectile simulate --waves",
             f"[treeopen] {TOP}.", f"[treeopen] {SCOPE}."]
    for title, ports in groups(config, array).items():
        lines += [_TITLE, f"-{title}", _HEX, *(f"{SCOPE}.{port.name}{port.span.strip()}" for port in ports)]
    return "\n".join([*lines, ""])
