"""Gate traces in the forms that other programs write them (docs/import.md), told apart by their content."""

from pathlib import Path

from trajectile.sw_model.gates import array_traces
from trajectile.sw_model.gates.json_records import begins_like_json
from trajectile.sw_model.gates.line_traces import of_lines
from trajectile.sw_model.gates.npy import NpyError, read_npy, read_npz
from trajectile.sw_model.gates.reading import Reading
from trajectile.sw_model.gates.workloads import Trace, TraceError

LEGAL = ("legal gate traces: .npz or .npy of topk_ids, routed_experts or top_indices, or JSON lines with topk_ids or "
         "top_indices (docs/import.md)")


def load_trace(path: str | Path, experts: int | None = None, *, layer: int | None = None,
               how: Reading | None = None) -> Trace:
    """Read a gate trace.

    Args:
        path: the file.
        experts: how many experts the layer has, for traces that do not say it; without it as many as occur.
        layer: the only layer that is wanted, if the trace has it: others may then have other tokens or another top_k.
        how: what the user says of the file.

    Raises:
        TraceError: if the file is not there, has none of the known forms, an array is missing or wrong, or its meaning open.
    """
    path, how = Path(path), how or Reading()
    try:
        if not path.is_file():
            raise TraceError(f"{path}: no such file; {LEGAL}")
        with path.open("rb") as file:
            head = file.read(4096)
        if head[:2] == b"PK" or head[:6] == b"\x93NUMPY":
            how.check_keys(path.name, "arrays", ("layer", "rank", "order", "repeats"))
        if head[:2] == b"PK":
            arrays, names = read_npz(path, array_traces.wanted(how))
            return array_traces.of_arrays(path.name, arrays, names, how, experts=experts, layer=layer)
        if head[:6] == b"\x93NUMPY":
            return array_traces.of_array(path.name, path.stem, read_npy(path), how, experts=experts, layer=layer)
        if begins_like_json(head):
            how.check_keys(path.name, "JSON", ("axes",))
            return of_lines(path, how, experts=experts, layer=layer)
    except NpyError as error:
        raise TraceError(f"{path}: {error}; {LEGAL}") from None
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror or error}; {LEGAL}") from None
    raise TraceError(f"{path}: no trace of a known form; {LEGAL}")
