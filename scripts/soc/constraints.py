"""SDC constraints of tile and array: clock, reset, I/O delays, and the only exceptions there are."""

from collections.abc import Sequence

from trajectile.scripts.soc.ports import Port

#: inputs that never change while the clock runs
STRAP = "tile_id"
#: share of a cycle that is outside, before an input and after an output
OUTSIDE = 0.4

_HEAD = """\
# {module}: one clock, every input and output registered to it outside, synchronous reset.
#
{origin}
#
# Set before reading this file, to change it: trajectile_period_ns, trajectile_outside (share of a cycle that lies outside,
# before an input and after an output), trajectile_uncertainty_ns. Units: ns. Add driving cells, loads and the clock tree's
# latency of your technology.
#
# Exceptions: {exceptions}
# No multicycle path: every path takes one cycle. No false path otherwise: there is one clock, and rst is synchronous and
# timed like any input (bring an asynchronous reset in through a synchronizer of two flip-flops outside).

if {{![info exists trajectile_period_ns]}} {{ set trajectile_period_ns {period:.3f} }}
if {{![info exists trajectile_outside]}} {{ set trajectile_outside {outside} }}
if {{![info exists trajectile_uncertainty_ns]}} {{ set trajectile_uncertainty_ns [expr {{0.05 * $trajectile_period_ns}}] }}
set trajectile_io_ns [expr {{$trajectile_outside * $trajectile_period_ns}}]

create_clock -name clk -period $trajectile_period_ns [get_ports clk]
set_clock_uncertainty $trajectile_uncertainty_ns [get_clocks clk]
"""


def _pattern(port: Port) -> str:
    """All bits of a port."""
    return f"{{{port.name}[*]}}" if port.width > 1 else port.name


def sdc(module: str, ports: Sequence[Port], origin: str, mhz: float) -> str:
    """Constraints for a clock of ``mhz``; every port but the clock is named once."""
    straps = [port for port in ports if port.name == STRAP]
    held = [port for port in ports if port.name == "link_hold"]
    exceptions = [f"{STRAP} is a strap, constant while the clock runs."] if straps else []
    exceptions += ["link_hold belongs to the model of the PHY and is 0 on a chip."] if held else []
    text = _HEAD.format(module=module, origin="\n".join(f"# {line}".rstrip() for line in origin.splitlines()),
                        exceptions=" ".join(exceptions) or "none.", period=1000 / mhz, outside=OUTSIDE)
    groups: dict[tuple[str, bool], list[str]] = {}
    for port in ports:
        if port.name != "clk" and port not in straps and port not in held:
            groups.setdefault((port.interface, port.is_input), []).append(_pattern(port))
    for (interface, is_input), patterns in groups.items():
        command = "set_input_delay" if is_input else "set_output_delay"
        text += f"\n# {interface or 'single ports'}\n{command} $trajectile_io_ns -clock clk [get_ports [list \\\n"
        text += "".join(f"    {pattern} \\\n" for pattern in patterns) + "]]\n"
    if straps:
        text += f"\nset_false_path -from [get_ports [list {' '.join(map(_pattern, straps))}]]\n"
    if held:
        text += f"\nset_case_analysis 0 [get_ports [list {' '.join(map(_pattern, held))}]]\n"
    return text
