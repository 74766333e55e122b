"""What the wire of a net weighs, told by how many pins it goes to."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trajectile.scripts.area.cells import Floats, Reader
from trajectile.scripts.area.liberty import Group


@dataclass(frozen=True)
class Wire:
    """Capacitance by fan-out: so much a pin, or the table of a wire-load model."""

    #: short, for a field of a report
    name: str
    #: one line, for people
    title: str
    ff_per_pin: float = 0.0
    #: of a wire-load model: femtofarads of a length, lengths by fan-out, length of each pin beyond the last
    ff_per_length: float = 0.0
    fanouts: tuple[float, ...] = ()
    lengths: tuple[float, ...] = ()
    slope: float = 0.0

    def load(self, pins: ArrayLike) -> Floats:
        """Capacitance of the wire of nets that go to so many pins each; none without a pin."""
        count = np.asarray(pins, dtype=np.float64)
        if not self.fanouts:
            return count * self.ff_per_pin
        length = np.interp(count, self.fanouts, self.lengths)
        length += np.maximum(count - self.fanouts[-1], 0.0) * self.slope
        if len(self.fanouts) > 1 and self.fanouts[0] > 1:  # held at the first
            length = np.where(count < self.fanouts[0], self.lengths[0], length)
        return np.where(count > 0, length * self.ff_per_length, 0.0)

    def liberty(self) -> str:
        """The same as a wire-load model, in pF and um."""
        if not self.fanouts:
            points, scale, slope = [(1.0, 1.0), (2.0, 2.0)], self.ff_per_pin, 1.0
        else:
            points, scale, slope = list(zip(self.fanouts, self.lengths, strict=True)), self.ff_per_length, self.slope
        rows = " ".join(f"fanout_length ({count:g}, {length:.6g});" for count, length in points)
        return (f"  wire_load (trajectile_{self.name}) {{ capacitance : {scale / 1000:.9g}; resistance : 0; area : 0; "
                f"slope : {slope:.6g}; {rows} }}")


def _wire(library: Group, model: Group) -> Wire:
    """A wire-load model of a library. What a library says of resistance is left out: delays are those of gates."""
    points = sorted((float(count), float(length)) for words in model.every("fanout_length")
                    for count, length in [[number for word in words for number in word.replace(",", " ").split()][:2]])
    return Wire("library", f"wire-load model {model.name} of {library.name}",
                ff_per_length=float(model.value("capacitance", "0")) * Reader(library).ff,
                fanouts=tuple(count for count, _ in points), lengths=tuple(length for _, length in points),
                slope=float(model.value("slope", "0")))


def of_libraries(libraries: Iterable[Group]) -> Wire | None:
    """The wire-load model that a library of cells names as its own; None if none does."""
    for library in libraries:
        name = library.value("default_wire_load")
        for model in library.of("wire_load"):
            if name and model.name == name and model.every("fanout_length"):
                return _wire(library, model)
    return None
