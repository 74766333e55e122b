"""What the fuzz tests share: one way to run a command, mutations, how many cases, and a bound on memory.

Every case ends in one of two ways: accepted (exit code 0), or refused (exit code 2, one line on stderr that says what is
legal). A traceback, a warning, a hang or a large allocation fails the test.
"""

import contextlib
import io
import os
import random
import re
import resource
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from trajectile.scripts import cli

#: what a case may allocate, far above what the small inputs here need and far below what they may claim
MEMORY_BYTES = 2 << 30


def cases(quick: int, long: int) -> pytest.MarkDecorator:
    """How many cases in ``make test`` (always the same ones) and in ``make regress`` (new ones each time)."""
    return pytest.mark.parametrize("number", [quick, pytest.param(long, marks=pytest.mark.regress)])


def fuzz(number: int, request: pytest.FixtureRequest, strategy: st.SearchStrategy, check: Callable[..., bool]) -> None:
    """Check so many draws of a strategy. The seed of a long run is printed; ``FUZZ_SEED`` repeats it.

    ``check`` says whether a case was accepted: both kinds must be there, or the strategy tests nothing.
    """
    long = request.node.get_closest_marker("regress") is not None
    ran = accepted = 0

    @settings(max_examples=number, derandomize=not long, database=None, deadline=None,
              suppress_health_check=list(HealthCheck))
    @given(strategy)
    def run(case: object) -> None:
        nonlocal ran, accepted
        ran += 1
        accepted += check(case)

    if long:
        chosen = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(2**32))
        print(f"FUZZ_SEED={chosen}")
        run = seed(chosen)(run)
    with bounded_memory():
        run()
    print(f"{accepted} of {ran} cases accepted")
    assert ran >= number and number * 0.02 < accepted < number * 0.98, (ran, accepted)


@contextlib.contextmanager
def bounded_memory():
    """Let allocations fail that no input of these tests deserves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def run(arguments: Sequence[str]) -> tuple[int, str]:
    """Run a command; its exit code and what it wrote to stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code: object = cli.main(list(arguments))
        except SystemExit as stop:  # the argument parser's
            code = stop.code
    text = err.getvalue()
    assert code in (0, 2), (arguments, code, text)
    if code == 0:
        assert text == "", text
    elif not text.startswith("usage: "):
        assert re.fullmatch(r"trajectile \w+: [^\n]*legal[^\n]*\n", text), text
        assert len(text) < 2000, text
    return code, text


def weighted(*parts: tuple[int, st.SearchStrategy]) -> st.SearchStrategy:
    """One of some strategies, each so often (``one_of`` drops repeats)."""
    return st.sampled_from([strategy for count, strategy in parts for _ in range(count)]).flatmap(lambda chosen: chosen)


@st.composite
def mutated(draw: st.DrawFn, source: bytes) -> bytes:
    """Bytes with a few faults: flipped, cut, removed, repeated, overwritten, inserted."""
    data = bytearray(source)
    for _ in range(draw(st.integers(1, 4))):
        size = len(data)
        first = draw(st.integers(0, max(size - 1, 0)))
        span = draw(st.integers(1, 16))
        kind = draw(st.sampled_from(["flip", "flip", "cut", "remove", "repeat", "zero", "ones", "insert"]))
        if kind == "flip" and size:
            data[first] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[first:]
        elif kind == "remove":
            del data[first:first + span]
        elif kind == "repeat":
            data[first:first] = data[first:first + span] * draw(st.integers(1, 40))
        elif kind in ("zero", "ones"):
            data[first:first + span] = (b"\0" if kind == "zero" else b"\xff") * len(data[first:first + span])
        else:
            data[first:first] = draw(st.binary(max_size=16))
    return bytes(data)


#: JSON values of every kind, the nasty ones included
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.integers() | st.sampled_from([10**30, -2**63, 2**64, 10**400])
    | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3), max_leaves=6)
