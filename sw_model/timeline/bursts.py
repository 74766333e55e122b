"""The io port and its memory: into which bursts a region falls."""

from functools import cache

from trajectile.sw_model.config import Config


@cache
def burst_ends(config: Config, address: int, beats: int) -> tuple[int, ...]:
    """Beats of a region up to the end of each of its bursts. Every burst but the last ends at a multiple of the longest.

    Args:
        config: the accelerator.
        address: of the region, in bytes.
        beats: of the region; at least one.
    """
    longest = config.io.burst_beats
    first = longest - address // config.io.bytes_per_cycle % longest
    return (*range(first, beats, longest), beats)
