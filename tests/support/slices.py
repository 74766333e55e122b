"""Where the pieces of a slice belong, written down apart from the blocks: a word of parameters is cut short."""

from trajectile.sw_model.config import Config

#: a slice whose parameters are part of a word (as in the smoke configuration), all of one, and two
FIRST_WORDS = {"short": {}, "whole": {"tile__mac_n": 2}, "two": {"tile__mac_n": 2, "tile__mac_k": 2, "link__beat_bytes": 4}}


def places(config: Config, size: int) -> list[tuple[int, int]]:
    """(word, piece) of a slice that comes in pieces of ``size`` bytes: beats, or flits."""
    pieces = -(-config.tile.word_bytes // size)
    first = min(pieces, -(-10 // size)) if config.parameter_words == 1 else pieces
    return [(word, piece) for word in range(config.slice_words) for piece in range(pieces if word else first)]
