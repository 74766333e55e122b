"""What a tile tells the host when something is wrong: fatal errors, and why an access was refused."""

from amaranth.lib import enum

#: fatal errors, in the order of their bits in ERROR and in a completion record: name, meaning
ERRORS = (
    ("WATCHDOG", "a batch took more cycles than WATCHDOG allows"),
    ("DDR_RESPONSE", "the DDR channel answered a read with an error"),
    ("IO_RESPONSE", "the io port was answered a write with an error"),
    ("LINK_DOWN", "a link to a neighbour has failed for good"),
    ("MEMORY", "a word of a memory is wrong and cannot be corrected"),
    ("DISAGREE", "another tile's batch has another load order, dataflow or tag"),
    ("TOO_MANY", "a shared batch has more tokens than a tile holds"),
    ("STOPPED", "another tile has failed"),
)

#: what is wrong in a batch's token records, in the order of their bits in its completion record: name, meaning
RECORD_ERRORS = (
    ("EXPERT", "a choice names an expert that does not exist; it was dropped"),
    ("TWICE", "a token names an expert twice; the second was dropped"),
    ("RESPONSE", "the io port was answered a read of records with an error"),
)
#: bit of the first of them
RECORD_ERROR_LOW = 16


class Refusal(enum.Enum, shape=4):
    """Why an access was refused; where several reasons hold, the lowest. :data:`REFUSALS` says what each means."""

    NONE = 0
    NO_REGISTER = 1
    READ_ONLY = 2
    PARTIAL = 3
    VALUE = 4
    LOCKED = 5
    RESETTING = 6
    FAILED = 7
    BUSY = 8
    FULL = 9
    ALIGNMENT = 10
    LAYER = 11
    READ_WINDOW = 12
    WRITE_WINDOW = 13


#: what each code means
REFUSALS = {
    Refusal.NONE: "no access was refused",
    Refusal.NO_REGISTER: "no register has this address",
    Refusal.READ_ONLY: "the register cannot be written",
    Refusal.PARTIAL: "the write leaves out a byte",
    Refusal.VALUE: "a field does not allow its value, or a bit outside the fields is set",
    Refusal.LOCKED: "the windows of the io port are locked",
    Refusal.RESETTING: "the array is being reset",
    Refusal.FAILED: "the tile has failed: reset it",
    Refusal.BUSY: "needs an idle tile: a descriptor waits, or a batch runs",
    Refusal.FULL: "doorbell: as many descriptors wait as can",
    Refusal.ALIGNMENT: "doorbell: an address is no multiple of what it must be",
    Refusal.LAYER: "doorbell: the layer ends past the last address of DDR",
    Refusal.READ_WINDOW: "doorbell: the token records are not all inside the window for reads",
    Refusal.WRITE_WINDOW: "doorbell: completion record and results are not all inside the window for writes",
}
