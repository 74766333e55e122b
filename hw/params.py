"""All widths and layouts of a build."""

from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.d2d.layouts import LinkLayouts


class Params(LinkLayouts, BatchLayouts):
    """Widths and layouts together: what a tile has, and each part of it takes as much of as it needs."""
