"""All widths and layouts of a build."""

from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.host.layouts import TableLayouts


class Params(LinkLayouts, TableLayouts):
    """Widths and layouts together: what a tile has, and each part of it takes as much of as it needs."""
