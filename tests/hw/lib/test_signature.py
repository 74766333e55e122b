"""Named signatures: equality, and what they make."""

from amaranth.hdl import Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trajectile.hw.lib.signature import NamedSignature


class Read(NamedSignature):
    class Interface(wiring.PureInterface):
        en: Signal
        data: Signal

    def __init__(self, width):
        super().__init__({"en": Out(1), "data": In(width)})


class Other(NamedSignature):
    def __init__(self, width):
        super().__init__({"en": Out(1), "data": In(width)})


def test_equal_if_the_parameters_are():
    """Two made the same way are equal, whoever makes them; another width or another class is another signature."""
    assert Read(8) == Read(8) and Read(8).flip() == Read(8).flip()
    assert Read(8) != Read(9) and Read(8) != Other(8) and Read(8) != Read(8).flip()
    assert wiring.Signature({"port": Out(Read(8))}) == wiring.Signature({"port": Out(Read(8))})
    assert wiring.Signature({"port": Out(Read(8))}) != wiring.Signature({"port": Out(Read(7))})


def test_makes_its_interface():
    """An interface object is of the class inside, and its signals are named by their path."""
    made = Read(8).create(path=("port",))
    assert type(made) is Read.Interface and len(made.data) == 8 and made.data.name == "port__data"
    assert made.signature.is_compliant(made)
