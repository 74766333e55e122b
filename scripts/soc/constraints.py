"""SDC constraints of tile and array: clock, reset, I/O delays, and the only exceptions there are."""

import re
from collections.abc import Sequence

from trajectile.scripts.soc.ports import Port

#: inputs that never change while the clock runs
STRAP = "tile_id"
#: ends the name of a clock that comes with frames
LINK = "__rx__clk"
#: share of a cycle that is outside, before an input and after an output
OUTSIDE = 0.4
#: the same of ports whose other end is near: paths from input to output go through them, so the rest of a cycle is theirs
NEAR = 0.1
#: share of a cycle that the clock's edges are uncertain by
UNCERTAINTY = 0.05

_HEAD = """\
# {module}: one clock{more}, every input and output registered to it outside, synchronous reset.
#
{origin}
#
# Set before reading this file, to change it: trajectile_period_ns, trajectile_outside (share of a cycle that lies outside,
# before an input and after an output), trajectile_near (the same of ports whose other end must be near),
# trajectile_uncertainty_ns. Units: ns. Add driving cells, loads and the clock tree's latency of your technology.
#
{near}#
# Exceptions: {exceptions}
# No multicycle path: every path takes one cycle. No false path otherwise: {between}, and rst is synchronous and
# timed like any input (bring an asynchronous reset in through a synchronizer of two flip-flops outside).

if {{![info exists trajectile_period_ns]}} {{ set trajectile_period_ns {period:.3f} }}
if {{![info exists trajectile_outside]}} {{ set trajectile_outside {outside} }}
if {{![info exists trajectile_near]}} {{ set trajectile_near {near_share} }}
if {{![info exists trajectile_uncertainty_ns]}} {{
    set trajectile_uncertainty_ns [expr {{{uncertainty} * $trajectile_period_ns}}]
}}
set trajectile_io_ns [expr {{$trajectile_outside * $trajectile_period_ns}}]
set trajectile_near_ns [expr {{$trajectile_near * $trajectile_period_ns}}]

create_clock -name clk -period $trajectile_period_ns [get_ports clk]
set_clock_uncertainty $trajectile_uncertainty_ns [get_clocks clk]
"""


#: what lies between clocks
_CROSSINGS = """\
if {{[info exists trajectile_limit_crossings] && $trajectile_limit_crossings}} {{
    set trajectile_clocks [list {clocks}]
    foreach from $trajectile_clocks {{
        foreach to $trajectile_clocks {{
            if {{$from ne $to}} {{
                set_max_delay $trajectile_period_ns -from [get_clocks $from] -to [get_clocks $to]
                set_false_path -hold -from [get_clocks $from] -to [get_clocks $to]
            }}
        }}
    }}
}} else {{
    set_clock_groups -asynchronous {groups}
}}
"""

#: about ports that are near, by what they are called
_WHY = (
    (r"rst", "rst: from the last flip-flop of its synchronizer; a tree of buffers is inside"),
    (r"(halt|reset)(_out)?", "halt, reset, halt_out, reset_out: registers of the array beside the tile"),
    (r"(events|phases)__\w+", "events, phases: to be watched; nothing on a chip, or registers beside the tile"),
    (r"\w+__tx__flit__ready", "ready of a link: from a register of the PHY"),
)


def near(port: Port) -> bool:
    """Whether a port's other end must be near."""
    return any(re.fullmatch(pattern, port.name) for pattern, _ in _WHY)


def _near_text(ports: Sequence[Port]) -> str:
    """What the head says about the ports that are near."""
    found = [why for pattern, why in _WHY if any(re.fullmatch(pattern, port.name) for port in ports)]
    if not found:
        return ""
    head = "Near, because much lies inside; but for rst these are on paths from inputs through to outputs without a register:"
    return "".join(f"# {line}\n" for line in (head, *(f"  {why}." for why in found)))


def _pattern(port: Port) -> str:
    """All bits of a port."""
    return f"{{{port.name}[*]}}" if port.width > 1 else port.name


def sdc(module: str, ports: Sequence[Port], origin: str, mhz: float) -> str:
    """Constraints for a clock of ``mhz``; every port but the clock is named once."""
    straps = [port for port in ports if port.name == STRAP]
    held = [port for port in ports if port.name == "link_hold"]
    exceptions = [f"{STRAP} is a strap, constant while the clock runs."] if straps else []
    exceptions += ["link_hold belongs to the model of the PHY and is 0 on a chip."] if held else []
    come = [port for port in ports if port.name.endswith(LINK)]
    text = _HEAD.format(module=module, more=" and one with what comes from each link" if come else "",
                        between="but between clocks" if come else "there is one clock",
                        origin="\n".join(f"# {line}".rstrip() for line in origin.splitlines()),
                        exceptions=" ".join(exceptions) or "none.", period=1000 / mhz, outside=OUTSIDE, near_share=NEAR,
                        uncertainty=UNCERTAINTY, near=_near_text(ports))
    # clocks have no delays, and what comes with one is timed by it
    held += [port for port in ports if port.name.endswith("__clk")]
    held += [port for port in ports if come and port.name.endswith("__rx__frame")]
    groups: dict[tuple[str, bool, bool], list[str]] = {}
    for port in ports:
        if port.name != "clk" and port not in straps and port not in held:
            groups.setdefault((port.interface, port.is_input, near(port)), []).append(_pattern(port))
    for (interface, is_input, is_near), patterns in groups.items():
        command, share = "set_input_delay" if is_input else "set_output_delay", "near" if is_near else "io"
        text += f"\n# {interface or 'single ports'}\n{command} $trajectile_{share}_ns -clock clk [get_ports [list \\\n"
        text += "".join(f"    {pattern} \\\n" for pattern in patterns) + "]]\n"
    text += clock_groups(["clk"], come)
    if straps:
        text += f"\nset_false_path -from [get_ports [list {' '.join(map(_pattern, straps))}]]\n"
    held = [port for port in held if port.name == "link_hold"]
    if held:
        text += f"\nset_case_analysis 0 [get_ports [list {' '.join(map(_pattern, held))}]]\n"
    return text


def clock_groups(clocks: Sequence[str], others: Sequence[Port]) -> str:
    """Clocks that come with frames, or of other dies, and that nothing but synchronisers joins; empty where there is none.

    What comes with a clock is timed by it.
    """
    if not others:
        return ""
    text = ("\n# Clocks of their own (docs/clocks.md): pointers cross in gray code through two flip-flops, and the bits of\n"
            "# a pointer must arrive within a period of each other. Set trajectile_limit_crossings to 1 before reading this\n"
            "# file, and every path between two clocks must take less than a period; else none of them is looked at.\n")
    for port in others:
        text += f"create_clock -name {port.name} -period $trajectile_period_ns [get_ports {port.name}]\n"
        if clocks:
            text += f"set_clock_uncertainty $trajectile_uncertainty_ns [get_clocks {port.name}]\n"
        frame = port.name.replace("__clk", "__frame")
        if frame != port.name:
            text += f"set_input_delay $trajectile_io_ns -clock {port.name} [get_ports {{{frame}[*]}}]\n"
    names = [*clocks, *(port.name for port in others)]
    return text + _CROSSINGS.format(clocks=" ".join(names), groups=" ".join(f"-group [get_clocks {name}]" for name in names))


def of_dies(module: str, ports: Sequence[Port], origin: str, mhz: float) -> str:
    """Constraints of an array whose tiles are dies: clocks only. What is outside of a die is in the tile's constraints."""
    first = "".join(f"# {line}".rstrip() + "\n" for line in origin.splitlines())
    return (f"# {module}: a clock for each tile.\n#\n{first}\n"
            f"if {{![info exists trajectile_period_ns]}} {{ set trajectile_period_ns {1000 / mhz:.3f} }}\n"
            + clock_groups([], [port for port in ports if port.name.startswith("clocks__")]))
