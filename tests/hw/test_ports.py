"""Ports that tools can see: every port is an annotated attribute of its block or interface, and nothing else is."""

import inspect
from collections import defaultdict

import pytest
from amaranth.lib import wiring

from trajectile.hw.array import TileArray
from trajectile.hw.lib.emitter import Emitter
from trajectile.hw.lib.signature import NamedSignature
from trajectile.sw_model.config import load

BUILDS = ([], ["link.crc_bits=16", "tile.protect=secded", "tile.multiplier=shared", "layer.bias=true"],
          ["array.rows=3", "array.cols=3"], ["array.dataflows=both", "ddr.ports=2"],
          ["link.crc_bits=16", "array.clocks=independent"])


@pytest.fixture(scope="module")
def found():
    """Classes of blocks and interfaces, each with the members that it has in some build, and an object of each member."""
    members = defaultdict(dict)

    def look(kind, signature, owner):
        for name, member in signature.members.items():
            made = getattr(owner, name)
            while isinstance(made, list):
                made = made[0]
            made = wiring.flipped(made) if isinstance(made, wiring.FlippedInterface) else made
            members[kind].setdefault(name, made)
            if member.is_signature and isinstance(made.signature, NamedSignature):
                look(type(made), made.signature, made)

    for build in BUILDS:
        emitter = Emitter()
        emitter.emit(TileArray(load("smoke", build)))
        for component in emitter.components.values():
            look(type(component), component.signature, component)
    return members


def test_every_member_is_annotated(found):
    """No member without an annotation, no annotation without a member."""
    assert len(found) > 30
    for kind, members in found.items():
        assert set(inspect.get_annotations(kind)) == set(members), kind.__qualname__


def test_annotations_say_what_it_is(found):
    """Signal, view of a structure or code, stream, or a named interface."""
    for kind, members in found.items():
        for name, annotation in inspect.get_annotations(kind).items():
            assert type(members[name]).__qualname__ in str(annotation), f"{kind.__qualname__}.{name}"
