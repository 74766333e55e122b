"""Open hardware for Mixture-of-Experts inference: the generator, its golden model, its testbenches.

The functions here are described in docs/python.md. They are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trajectile.scripts.api import Synthesis, compare, generate, load, simulate, synthesize, timeline
    from trajectile.scripts.errors import ToolError, UserError
    from trajectile.scripts.flow.imported import import_layer
    from trajectile.scripts.flow.simulation import Simulation
    from trajectile.sw_model.config import Config, ConfigError, presets
    from trajectile.sw_model.gates.workloads import TraceError

    __version__: str

__all__ = [
    "Config", "ConfigError", "Simulation", "Synthesis", "ToolError", "TraceError", "UserError", "__version__", "compare",
    "generate", "import_layer", "load", "presets", "simulate", "synthesize", "timeline",
]

_WHERE = {
    **dict.fromkeys(("Synthesis", "compare", "generate", "load", "simulate", "synthesize", "timeline"), "scripts.api"),
    **dict.fromkeys(("ToolError", "UserError"), "scripts.errors"), "Simulation": "scripts.flow.simulation",
    "import_layer": "scripts.flow.imported",
    **dict.fromkeys(("Config", "ConfigError", "presets"), "sw_model.config"), "TraceError": "sw_model.gates.workloads",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("trajectile.scripts.version").version()
    if name not in _WHERE:
        raise AttributeError(f"module 'trajectile' has no attribute {name!r}")
    return getattr(import_module(f"trajectile.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
