"""What a tile tells the host when something is wrong: fatal errors, and why an access was refused."""

from amaranth.lib import enum

#: fatal errors, in the order of their bits in ERROR: name, meaning
ERRORS = (
    ("WATCHDOG", "the batch took more cycles than WATCHDOG allows"),
    ("DDR_RESPONSE", "the DDR channel answered a read with an error"),
    ("LINK_DOWN", "a link to a neighbour has failed for good"),
    ("MEMORY", "a word of a memory is wrong and cannot be corrected"),
    ("ENTRY", "a table entry that was used is not legal"),
    ("STOPPED", "another tile has failed"),
)


class Refusal(enum.Enum, shape=4):
    """Why an access was refused; where several reasons hold, the lowest. :data:`REFUSALS` says what each means."""

    NONE = 0
    NO_REGISTER = 1
    READ_ONLY = 2
    WRITE_ONLY = 3
    PARTIAL = 4
    VALUE = 5
    RESETTING = 6
    FAILED = 7
    BUSY = 8
    NO_ENTRY = 9
    ENTRY_VALUE = 10


#: what each code means
REFUSALS = {
    Refusal.NONE: "no access was refused",
    Refusal.NO_REGISTER: "no register has this address",
    Refusal.READ_ONLY: "register or table cannot be written",
    Refusal.WRITE_ONLY: "the table cannot be read",
    Refusal.PARTIAL: "the write leaves out a byte",
    Refusal.VALUE: "a field does not allow its value, or a bit outside the fields is set",
    Refusal.RESETTING: "needs an idle tile: the array is being reset",
    Refusal.FAILED: "needs an idle tile: this one has failed, reset it",
    Refusal.BUSY: "needs an idle tile: START is on its way, or a batch runs",
    Refusal.NO_ENTRY: "the table has no such entry, or this build no such table",
    Refusal.ENTRY_VALUE: "a field of the table entry does not allow its value",
}
