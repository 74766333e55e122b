"""Who wrote a line of a trace, and when: ranks, steps, tokens of a request."""

from typing import Any

from trajectile.sw_model.gates.reading import Reading
from trajectile.sw_model.gates.workloads import TraceError

RANKS = ("rank", "global_rank", "dp_rank", "tp_rank", "ep_rank")
STEPS = ("step", "step_id", "iteration")
REQUESTS = ("req_id", "request_id", "rid")
TOKENS = ("token_idx", "token_index", "token_pos", "position")

#: step, request by its first line, token; 0 for what a line does not say
Position = tuple[int, int, int]


def _named(record: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((key for key in keys if key in record), None)


def _text(record: dict[str, Any], key: str | None) -> str:
    return "" if key is None else str(record[key])[:200]


def _integer(place: str, record: dict[str, Any], key: str | None) -> int:
    """The value of a key, 0 without one."""
    value = 0 if key is None else record[key]
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 1 << 62:
        raise TraceError(f"{place}: {key} is not legal; legal values: an integer")
    return value


class LineOrder:
    """Checks ranks, order and repeats of lines as they come."""

    def __init__(self, how: Reading):
        self._how = how
        #: values of each key of a rank
        self._ranks: dict[str, set[str]] = {}
        #: number of each request
        self._requests: dict[str, int] = {}
        #: the last step of a layer and rank, the last step and token of a layer, rank and request
        self._last: dict[tuple[Any, ...], tuple[int, ...]] = {}
        self._seen: set[tuple[Any, ...]] = set()

    def position(self, place: str, layer: int, record: dict[str, Any], choices: bytes) -> Position | None:
        """Where a line belongs; None if it is left out.

        Args:
            place: of the line, for messages.
            layer: that the line is of.
            record: its keys.
            choices: its experts, to tell whether it says the same as another.

        Raises:
            TraceError: if ranks are mixed, lines are out of order or stand twice, and the user has not said what to do.
        """
        rank_key, step_key, request_key, token_key = (_named(record, keys) for keys in (RANKS, STEPS, REQUESTS, TOKENS))
        rank = _text(record, rank_key)
        if not self._wanted(place, rank_key, rank):
            return None
        request = self._requests.setdefault(_text(record, request_key), len(self._requests))
        step, token = _integer(place, record, step_key), _integer(place, record, token_key)
        if (step_key or token_key) and self._how.repeats != "keep":
            # several lines of a step are its micro-batches, unless they say the same
            identity = (layer, rank, step, request, token, b"" if token_key else choices)
            if identity in self._seen:
                if self._how.repeats == "drop":
                    return None
                named = ", ".join(f"{key} = {_text(record, key)}" for key in (step_key, request_key, token_key) if key)
                raise TraceError(f"{place}: {named} stands twice in layer {layer}; legal: once, or --trace-as repeats=drop "
                                 "(the first is read), --trace-as repeats=keep (all are)")
            self._seen.add(identity)
        if not self._how.order:
            if step_key:
                self._rises(place, step_key, (layer, rank), (step,))
            if token_key:
                self._rises(place, token_key, (layer, rank, request), (step, token))
        return step, request, token

    def _wanted(self, place: str, key: str | None, rank: str) -> bool:
        """Whether lines of this rank are read."""
        chosen = self._how.rank
        if chosen and chosen != "all":
            if key is None:
                raise TraceError(f"{place}: the line has no rank; legal: one of {', '.join(RANKS)}, or no --trace-as rank")
            return rank == chosen
        if key is None:
            return True
        ranks = self._ranks.setdefault(key, set())
        ranks.add(rank)
        if len(ranks) > 1 and not chosen:
            raise TraceError(f"{place}: {key} is {rank} after {', '.join(sorted(ranks - {rank}))}; ranks may repeat the same "
                             f"tokens or have tokens of their own; legal: --trace-as rank={rank} reads one of them, "
                             "--trace-as rank=all reads all")
        return True

    def _rises(self, place: str, key: str, stream: tuple[Any, ...], value: tuple[int, ...]) -> None:
        """Steps rise within a layer, tokens within a request."""
        before = self._last.get(stream, value)
        if value < before:
            raise TraceError(f"{place}: {key} = {value[-1]} comes after {before[-1]} in layer {stream[0]}, out of order or "
                             "of another run; legal: rising values, or --trace-as order=step (sorted), --trace-as order=file "
                             "(as they stand)")
        self._last[stream] = value
