"""Named signatures: interfaces that compare equal, and whose members type checkers and editors know."""

from typing import Any, ClassVar

from amaranth.lib import wiring


class NamedSignature(wiring.Signature):
    """A signature with a class of its own. Two of one class are equal if their members are.

    Each subclass has a class ``Interface`` inside, which says for tools what each member is in hardware.
    """

    #: what :meth:`create` makes
    Interface: ClassVar[type[wiring.PureInterface]] = wiring.PureInterface

    def __eq__(self, other: object) -> bool:
        """Equal if of the same class, with the same members."""
        return type(self) is type(other) and self.members == other.members

    def create(self, *, path: tuple[str | int, ...] | None = None, src_loc_at: int = 0) -> Any:
        """An interface object with a signal, or another interface, for each member."""
        return self.Interface(self, path=path, src_loc_at=1 + src_loc_at)  # type: ignore[arg-type]  # stubs forget None
