"""Charts of a report as SVG. Colours are classes of the page's style sheet, so that they follow light and dark.

Charts over time stretch with the page: their SVG holds shapes only, and the page sets the text around them.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from markupsafe import Markup, escape

from trajectile.sw_model.config import Config

#: height of a chart over time, in its own units; its width is the batch
HEIGHT = 100.0
#: size of a tile and distance to the next, in a picture of the array
TILE, PITCH = 122, 198
#: the same in the small pictures of trajectories
DOT, STEP = 15, 38


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _figure(body: str, title: str, description: str, box: Sequence[float], more: str = "") -> Markup:
    """An SVG with a name and a description for those who do not see it."""
    return Markup(f'<svg role="img" viewBox="{" ".join(map(_number, box))}" {more}><title>{escape(title)}</title>'
                  f"<desc>{escape(description)}</desc>{body}</svg>")


def _over_time(edges: Sequence[int], low: Sequence[float], high: Sequence[float], kind: str, tip: str) -> str:
    """The area between two step curves, shares of the height from below."""
    there = [f"{_number(edge)} {_number(HEIGHT * (1 - top))}" for top, sides in zip(high, pairwise(edges), strict=True)
             for edge in sides]
    back = [f"{_number(edge)} {_number(HEIGHT * (1 - bottom))}"
            for bottom, sides in reversed(list(zip(low, pairwise(edges), strict=True))) for edge in reversed(sides)]
    return f'<path class="f-{kind}" d="M{"L".join(there + back)}Z"><title>{escape(tip)}</title></path>'


def steps(edges: Sequence[int], shares: Sequence[float], kind: str, title: str) -> Markup:
    """One share over time."""
    body = _over_time(edges, [0.0] * len(shares), shares, kind, title)
    return _figure(body, title, f"Share of the cycles in each of {len(shares)} parts of the batch; the table beside it has "
                   "its tenths.", (0, 0, edges[-1], HEIGHT), 'preserveAspectRatio="none" class="time"')


def stack(edges: Sequence[int], shares: Mapping[str, Sequence[float]], reasons: Mapping[str, str], title: str) -> Markup:
    """Shares on top of each other; together they are one."""
    low, body = [0.0] * (len(edges) - 1), ""
    for kind, values in shares.items():
        high = [a + b for a, b in zip(low, values, strict=True)]
        if any(values):
            body += _over_time(edges, low, high, kind, f"{kind}: {reasons[kind]}")
        low = high
    return _figure(body, title, "Shares of the cycles by reason, stacked, in each part of the batch; the table below has the "
                   "sums.", (0, 0, edges[-1], HEIGHT), 'preserveAspectRatio="none" class="time tall"')


def columns(stacks: Sequence[Mapping[str, float]], marks: Sequence[float], title: str) -> Markup:
    """A column for each stack of parts, from below; a line across it at its mark."""
    highest, body = max([sum(parts.values()) for parts in stacks] + [1]), ""
    for number, (parts, mark) in enumerate(zip(stacks, marks, strict=True)):
        low = 0.0
        for kind, value in parts.items():
            low += value
            body += (f'<rect class="f-{kind}" x="{_number(number + 0.06)}" y="{_number(HEIGHT * (1 - low / highest))}" '
                     f'width="0.88" height="{_number(HEIGHT * value / highest)}"><title>{number}, {escape(kind)}: '
                     f'{value:,.0f}</title></rect>')
        body += (f'<rect class="f-mark" x="{_number(number)}" y="{_number(HEIGHT * (1 - mark / highest) - 0.4)}" width="1" '
                 f'height="0.8"><title>{number}, roofline: {mark:,.0f}</title></rect>')
    return _figure(body, title, f"{len(stacks)} columns of parts; the table below has the sums.", (0, 0, len(stacks), HEIGHT),
                   'preserveAspectRatio="none" class="time tall"')


def sequence(parts: Mapping[str, float], times: int, title: str) -> Markup:
    """Some parts of a whole one after the other, so many times."""
    whole, body = sum(parts.values()) or 1.0, ""
    for number in range(times):
        at = number * whole / times
        for kind, value in parts.items():
            body += (f'<rect class="f-{kind}" x="{1000 * at / whole:.3f}" y="0" width="{1000 * value / times / whole:.3f}" '
                     f'height="{_number(HEIGHT)}"><title>layer {number}, {escape(kind)}</title></rect>')
            at += value / times
    return _figure(body, title, f"{times} layers one after the other; the table below has the parts.", (0, 0, 1000, HEIGHT),
                   'preserveAspectRatio="none" class="time"')


#: rows of a tile's phases, from above; those of one row do not overlap
PHASE_ROWS = (("queue", "records"), ("lists", "counts", "order"), ("slices", "sums", "results", "completion"))


def phases(found: Sequence[Mapping[str, Any]], span: tuple[int, int], title: str) -> Markup:
    """Phases of a batch in one tile over some of its cycles."""
    rows = {name: number for number, names in enumerate(PHASE_ROWS) for name in names}
    high, body, (first, last) = HEIGHT / len(PHASE_ROWS), "", span
    seen = [phase for phase in found if phase["begin"] < last and phase["end"] > first]
    for phase in seen:
        begin, end = max(phase["begin"], first), min(phase["end"], last)
        tip = f"{phase['name']}: cycles {phase['begin']:,} to {phase['end']:,}"
        body += (f'<rect class="f-{phase["name"]}" x="{_number(begin)}" y="{_number(high * rows[phase["name"]] + 3)}" '
                 f'width="{_number(max(end - begin, (last - first) / 400))}" height="{_number(high - 6)}">'  # all are seen
                 f'<title>{escape(tip)}</title></rect>')
    return _figure(body, title, "; ".join(f"{one['name']} from {one['begin']:,} to {one['end']:,}" for one in seen),
                   (first, 0, last - first, HEIGHT), 'preserveAspectRatio="none" class="time"')


def centre(config: Config, tile: int, pitch: float) -> tuple[float, float]:
    """Where a tile is drawn: its centre."""
    return (tile % config.array.cols * pitch, tile // config.array.cols * pitch)


def arrow(points: Sequence[tuple[float, float]], width: float, kind: str, tip: str, head: float) -> str:
    """A line with a head at its end, through all points."""
    (x0, y0), (x1, y1) = points[-2:]
    length = max(abs(x1 - x0) + abs(y1 - y0), 1e-9)
    ux, uy = (x1 - x0) / length, (y1 - y0) / length
    base = (x1 - ux * head, y1 - uy * head)
    line = "L".join(f"{_number(x)} {_number(y)}" for x, y in [*points[:-1], base])
    side = head * 0.6
    corners = [(x1, y1), (base[0] - uy * side, base[1] + ux * side), (base[0] + uy * side, base[1] - ux * side)]
    triangle = " ".join(f"{_number(x)},{_number(y)}" for x, y in corners)
    return (f'<g><title>{escape(tip)}</title><path class="s-{kind}" d="M{line}" stroke-width="{_number(width)}"/>'
            f'<polygon class="f-{kind}" points="{triangle}"/></g>')


def lane(points: Sequence[tuple[float, float]], aside: float, start: float) -> list[tuple[float, float]]:
    """Points of a way along tile centres, moved to its right-hand side, from edge to edge of the first and last tile."""
    moved: list[tuple[float, float]] = []
    for number, ((x0, y0), (x1, y1)) in enumerate(pairwise(points)):
        length = abs(x1 - x0) + abs(y1 - y0)
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
        near, far = start if number == 0 else -aside, start if number == len(points) - 2 else -aside
        moved += [(x0 + ux * near - uy * aside, y0 + uy * near + ux * aside),
                  (x1 - ux * far - uy * aside, y1 - uy * far + ux * aside)]
    return moved


def array(config: Config, tiles: Sequence[Mapping[str, Any]]) -> Markup:
    """The array: tiles with what they did, DDR channels, and the ring's links, as wide as the slices they carried."""
    most = max([tile["sent"] for tile in tiles] + [1])
    body, half = "", TILE / 2
    for number, tile in enumerate(tiles):
        x, y = centre(config, number, PITCH)
        if number in config.array.ddr_tiles:
            up = -1 if number // config.array.cols * 2 < config.array.rows else 1
            top = y + up * (half + 46)
            way = [(x, top - up * 12), (x, y + up * half)]
            body += arrow(way, 2 + 8 * tile["loaded"] / max(most, tile["loaded"], 1), "ddr",
                           f"DDR channel of tile {number}: {tile['loaded']:,} slices loaded", 12)
            body += (f'<rect class="chip" x="{_number(x - half)}" y="{_number(top - 15)}" width="{TILE}" height="24" rx="5"/>'
                     f'<text x="{_number(x)}" y="{_number(top + 2)}">DDR {tile["loaded"]:,}</text>')
    for number, tile in enumerate(tiles):
        way = [centre(config, one, PITCH) for one in tile["path"]]
        points = lane(way, 20, half)
        body += arrow(points, 2 + 8 * tile["sent"] / most, "link",
                       f"tile {number} to tile {tile['next']}: {tile['sent']:,} slices sent, {tile['escapes']:,} of them "
                       "past the ring-next tile's tokens (rule 4)", 14)
        # the number stands at the first link of the edge, which may pass over tiles
        (x0, y0), (x1, y1) = points[:2]
        gap = (PITCH - TILE) / 2
        if abs(x1 - x0) > abs(y1 - y0):
            place, anchor = (x0 + (gap if x1 > x0 else -gap), y0 - 9), "middle"
        else:
            place = (x0 + (12 if y1 < y0 else -12), y0 + (gap if y1 > y0 else -gap) + 4)
            anchor = "start" if y1 < y0 else "end"
        body += (f'<text class="edge" x="{_number(place[0])}" y="{_number(place[1])}" style="text-anchor:{anchor}">'
                 f'{tile["sent"]:,}</text>')
    for number, tile in enumerate(tiles):
        x, y = centre(config, number, PITCH)
        body += f'<rect class="tile" x="{_number(x - half)}" y="{_number(y - half)}" width="{TILE}" height="{TILE}" rx="10"/>'
        for line, (text, kind) in enumerate(((f"tile {number}", "name"), (f"{tile['tokens']:,} tokens", "small"),
                                             (f"{tile['computed']:,} slices met", "small"),
                                             (f"{tile['cut_through']:,} cut through", "small"))):
            body += f'<text class="{kind}" x="{_number(x)}" y="{_number(y - 26 + 21 * line)}">{text}</text>'
    width, height = (config.array.cols - 1) * PITCH + TILE + 88, (config.array.rows - 1) * PITCH + TILE + 130
    box = (-half - 44, -half - 65, width, height)
    return _figure(body, "The array and what its links carried",
                   "Tiles in their grid. Blue: slices from DDR channels; green: slices over links of the ring; as wide as "
                   "they are many. The table below has the numbers.", box, f'class="array" style="max-width:{width}px"')


def trajectory(config: Config, way: Mapping[str, Any], paths: Mapping[int, Sequence[int]]) -> Markup:
    """One kind of trajectory on a small picture of the array: full dots are stops, the ring is where it comes from DDR."""
    body = ""
    for number in range(config.array.tiles):
        x, y = centre(config, number, STEP)
        kind = "stop" if number in way["stops"] else "idle"
        body += f'<circle class="{kind}" cx="{_number(x)}" cy="{_number(y)}" r="{_number(DOT / 2)}"/>'
    first = centre(config, way["tiles"][0], STEP)
    body += f'<circle class="source" cx="{_number(first[0])}" cy="{_number(first[1])}" r="{_number(DOT * 0.8)}"/>'
    for here in way["tiles"][:-1]:
        points = [centre(config, one, STEP) for one in paths[here]]
        body += arrow(lane(points, 0 if len(points) == 2 else 6, DOT * 0.9), 2.5, "link", "", 7)
    box = (-DOT - 4, -DOT - 4, (config.array.cols - 1) * STEP + 2 * DOT + 8, (config.array.rows - 1) * STEP + 2 * DOT + 8)
    return _figure(body, f"{way['slices']:,} slices: loaded at tile {way['tiles'][0]}",
                   f"visit tile{'s' * (len(way['tiles']) != 1)} {', '.join(map(str, way['tiles']))}; "
                   f"stops {', '.join(map(str, way['stops'])) or 'none'}",
                   box, f'class="way" width="{_number(box[2] * 1.2)}"')
