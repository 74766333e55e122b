"""What the exit code of a command says."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    #: done, and everything that was compared is equal
    DONE = 0
    #: done, and something that was compared differs: results, events, what a link delivered; or a design does not fit an FPGA
    NOT_EXACT = 1
    #: wrong input: an argument, a configuration, a trace, a checkpoint; nothing was run
    WRONG_INPUT = 2
    #: a tool is missing or has failed, or the system refuses (no space left)
    TOOL = 3
    #: stopped with Ctrl-C, as shells count it
    STOPPED = 130
