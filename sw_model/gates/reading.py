"""How a gate trace is read where the file itself leaves it open: what ``--trace-as`` says (docs/import.md)."""

from collections.abc import Sequence
from dataclasses import dataclass

from trajectile.sw_model.gates.workloads import TraceError

#: what each key of ``--trace-as`` may say
LEGAL = {
    "axes": "tokens,layers,top_k or layers,tokens,top_k or tokens,top_k",
    "zeros": "missing or expert",
    "padding": "the number that stands for no expert, as -1",
    "none": "the number that is a choice of no expert, as -1, or the first of several, as 512",
    "shared": "how many experts at the end of each token's list are shared ones, as 0 or 1",
    "ids": "the key or array with the chosen experts",
    "weights": "the key or array with the gate weights, or even",
    "layer": "the key with the number of the layer",
    "rank": "the rank whose lines are read, or all",
    "order": "step or file",
    "repeats": "drop or keep",
}
AXES = ("tokens,layers,top_k", "layers,tokens,top_k", "tokens,top_k")


@dataclass(frozen=True)
class Reading:
    """What the user says of a trace. An empty field leaves it to the file; what it leaves open is then refused."""

    #: order of the axes of an array, one of ``AXES``
    axes: str = ""
    #: choices that are all zero: ``missing`` (nothing was recorded, they are left out) or ``expert`` (expert 0 was chosen)
    zeros: str = ""
    #: tokens that name this expert are left out
    padding: int | None = None
    #: a choice of this number is none; of a number of 0 and more, all above it are none too
    none: int | None = None
    #: columns at the end of a token's list that are shared experts, left out
    shared: int | None = None
    #: key or array of the chosen experts
    ids: str = ""
    #: key or array of the gate weights, which are then taken as they are; or ``even``
    weights: str = ""
    #: key of the layer's number
    layer: str = ""
    #: the rank whose lines are read, or ``all``
    rank: str = ""
    #: lines by their ``step``, or as they stand in the ``file``
    order: str = ""
    #: lines that stand twice: ``drop`` or ``keep``
    repeats: str = ""

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Reading":
        """From texts ``KEY=VALUE``.

        Raises:
            TraceError: for a key or value that does not exist, or a key that is given twice.
        """
        found: dict[str, str | int] = {}
        for text in texts:
            key, sign, value = (part.strip() for part in text.partition("="))
            if key not in LEGAL or not sign:
                raise TraceError(f"--trace-as = {text!r} is not legal; legal values: KEY=VALUE with a key of "
                                 f"{', '.join(LEGAL)}")
            if key in found:
                raise TraceError(f"--trace-as {key} is given twice; legal: once")
            found[key] = _value(key, value)
        return cls(**found)  # type: ignore[arg-type]


    def check_keys(self, name: str, form: str, others: Sequence[str]) -> None:
        """See that no key is given that a form of trace has no use for.

        Raises:
            TraceError: if one of ``others`` is given.
        """
        for key in others:
            if getattr(self, key):
                raise TraceError(f"--trace-as {key} is not legal for {name}, which is {form}; legal values: "
                                 f"{', '.join(known for known in LEGAL if known not in others)}")


def _value(key: str, value: str) -> str | int:
    """The value of a key."""
    if key in ("padding", "none", "shared"):
        try:
            number = int(value)
        except ValueError:
            number = None
        if number is not None and abs(number) < 1 << 31 and (key != "shared" or number >= 0):
            return number
    elif key == "axes":
        value = ",".join(part.strip() for part in value.split(","))
        if value in AXES:
            return value
    elif key in ("zeros", "order", "repeats"):
        if value in LEGAL[key].split(" or "):
            return value
    elif value:
        return value
    raise TraceError(f"--trace-as {key} = {value!r} is not legal; legal values: {LEGAL[key]}")
