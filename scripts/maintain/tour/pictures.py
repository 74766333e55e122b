"""Pictures of the tour as SVG files: the array with one slice's way, that slice over time, and the whole batch."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import escape

from trajectile.scripts.report.charts import PHASE_ROWS, PITCH, TILE, arrow, centre, lane
from trajectile.sw_model.config import Config
from trajectile.sw_model.timeline.activity import busy_spans
from trajectile.sw_model.timeline.model import Event
from trajectile.sw_model.timeline.phases import PHASES, Phase
from trajectile.sw_model.timeline.visits import Visit

#: of each expert, modulo their number; dark text is readable on all
EXPERTS = ("#9ecae9", "#f9c49a", "#a8dcc5", "#e7b9d3", "#f2dc8c", "#c9c3ea", "#cccccc", "#f4a9a3")
STYLE = """
svg{--bg:#fff;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--panel:#f5f6f8;--ddr:#0072b2;--link:#008f68;--mac:#d55e00;--wait:#b9c1ca;
--records:#8fc1e0;--lists:#f2b184;--counts:#6a51a3;--order:#d9a800}
@media(prefers-color-scheme:dark){svg{--bg:#0d1117;--ink:#e8ecf0;--soft:#9aa6b2;--line:#30363d;--panel:#191f26;--ddr:#3fa0dd;
--link:#2fb98f;--mac:#f0813a;--wait:#4d5865;--records:#24597c;--lists:#8a512a;--counts:#9e86cc;
--order:#e3bd3c}}
text{font:13px system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--ink)}
.soft{fill:var(--soft)}.bold{font-weight:650}.mid{text-anchor:middle}.end{text-anchor:end}.tiny{font-size:11px}.on{fill:#1b1f24}
.bg{fill:var(--bg)}.tile{fill:var(--panel);stroke:var(--soft);stroke-width:1.5}.chip{fill:var(--bg);stroke:var(--ddr);stroke-width:1.5}
.grid{stroke:var(--line);stroke-width:1}.rule{font-size:11px;font-weight:650;fill:var(--bg)}
.f-soft{fill:var(--soft)}.f-records{fill:var(--records)}.f-lists{fill:var(--lists)}.f-counts{fill:var(--counts)}
.f-order{fill:var(--order)}.f-ddr{fill:var(--ddr)}.f-link{fill:var(--link)}.f-mac{fill:var(--mac)}.f-wait{fill:var(--wait)}
.s-ddr{stroke:var(--ddr);fill:none}.s-link{stroke:var(--link);fill:none}.s-wait{stroke:var(--wait);fill:none}.slot{fill:var(--panel)}
"""


def _file(body: str, box: Sequence[float], title: str, description: str) -> str:
    x, y, width, height = box
    return (f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="{x:g} {y:g} {width:g} {height:g}" '
            f'width="{width:g}" height="{height:g}">\n<title>{escape(title)}</title>\n'
            f"<desc>{escape(description)}</desc>\n<style>{STYLE}</style>\n"
            f'<rect class="bg" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"/>\n{body}</svg>\n')


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(text)}</text>\n'


def _box(x: float, y: float, width: float, height: float, kind: str, tip: str = "", style: str = "") -> str:
    title = f"<title>{escape(tip)}</title>" if tip else ""
    size = f'width="{max(width, 0.5):.1f}" height="{height:g}"'
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:g}" {size}{style}>{title}</rect>\n'


def array_picture(config: Config, tiles: Sequence[Mapping[str, Any]], way: Sequence[Visit]) -> str:
    """The array, the tokens of each tile and their experts; in green the way of one slice, with the cycles of its hops."""
    body, half = "", TILE / 2
    hops = {visit.tile: visit for visit in way if visit.send is not None}
    for number, tile in enumerate(tiles):
        x, y = centre(config, number, PITCH)
        up = -1 if y == 0 else 1
        top, mine = y + up * (half + 44), number == way[0].tile
        body += arrow([(x, top - up * 12), (x, y + up * half)], 5 if mine else 2, "ddr" if mine else "wait", "", 11)
        body += _box(x - half, top - 12, TILE, 24, "chip") + _text(x, top + 5, f"DDR {number}", "mid")
        here = hops.get(number)
        points = lane([centre(config, one, PITCH) for one in tile["path"]], 18, half)
        body += arrow(points, 5 if here else 2, "link" if here else "wait", "", 13)
        if here:
            (x0, y0), (x1, y1) = points[:2]
            across = abs(x1 - x0) > abs(y1 - y0)
            body += (_text((x0 + x1) / 2, y0 + (20 if x1 < x0 else -10), str(here.send), "mid tiny") if across else
                     _text(x0 + (9 if y1 < y0 else -9), (y0 + y1) / 2 + 4, str(here.send), "tiny" if y1 < y0 else "end tiny"))
        body += _box(x - half, y - half, TILE, TILE, "tile", style=' rx="10"')
        body += _text(x, y - 24, f"tile {number}", "mid bold")
        for line, token in enumerate(tile["tokens"]):
            chosen = ", ".join(map(str, tile["experts"][line]))
            body += _text(x, y + 2 + 20 * line, f"token {token}: {chosen}", "mid" if way[0].expert in tile["experts"][line]
                          else "mid soft")
    return _file(body, (-half - 50, -half - 62, PITCH + TILE + 100, PITCH + TILE + 124), "The array of the tour",
                 f"Four tiles in a ring, each with a DDR channel and two tokens with the experts they chose; slice "
                 f"{way[0].name} goes from tile {way[0].tile} over tiles {', '.join(str(visit.tile) for visit in way[1:])}.")


#: how phases look: classes of the style
PHASE_KINDS = {"queue": "soft", "records": "records", "lists": "lists", "counts": "counts", "order": "order", "slices": "mac",
               "sums": "link", "results": "ddr", "completion": "soft"}


def path_picture(found: Sequence[Phase], tiles: int, cycles: int) -> str:
    """From the doorbell to the completion record: what each tile does when, in three rows a tile."""
    left, width, high, gap = 60, 800, 15, 12
    scale, pitch = width / cycles, len(PHASE_ROWS) * high + gap
    rows = {name: number for number, names in enumerate(PHASE_ROWS) for name in names}
    top, body = 26, ""
    bottom = top + pitch * tiles
    for cycle in range(0, cycles + 1, 100):
        x = left + cycle * scale
        body += f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 4}" y2="{bottom}"/>\n'
        body += _text(x, bottom + 14, str(cycle), "mid tiny soft")
    for tile in range(tiles):
        body += _text(4, top + tile * pitch + (pitch - gap) / 2 + 4, f"tile {tile}", "bold")
    for phase in found:
        body += _box(left + phase.begin * scale, top + phase.tile * pitch + rows[phase.name] * high + 1,
                     (phase.end - phase.begin) * scale, high - 2, f"f-{PHASE_KINDS[phase.name]}",
                     f"{phase.name}: cycles {phase.begin} to {phase.end}", ' rx="2"')
    place = float(left)
    for name in PHASES:
        if any(phase.name == name for phase in found):
            body += _box(place, 4, 12, 12, f"f-{PHASE_KINDS[name]}") + _text(place + 17, 14, name, "tiny")
            place += 36 + 7 * len(name)
    return _file(body, (0, 0, left + width + 20, bottom + 22), "From the doorbell to the completion record",
                 "For each tile the phases of the batch over time: queue, records, lists, counts, order, slices, results, "
                 "completion.")


def slice_picture(way: Sequence[Visit], cycles: int) -> str:
    """One slice over time: one row per tile that it enters, from the slot's allocation to its release."""
    first, last = way[0].begin, max(visit.release or cycles for visit in way)
    left, width, row, high = 70, 640, 58, 15
    scale = width / (last - first)

    def at(cycle: int) -> float:
        return left + (cycle - first) * scale
    body = ""
    step = 50
    for cycle in range(-(-first // step) * step, last + 1, step):
        body += f'<line class="grid" x1="{at(cycle):.1f}" x2="{at(cycle):.1f}" y1="24" y2="{30 + row * len(way)}"/>\n'
        body += _text(at(cycle), 46 + row * len(way), str(cycle), "mid tiny soft")
    colours = {"fill": "ddr", "compute": "mac", "send": "link"}
    for number, visit in enumerate(way):
        y = 30 + row * number
        body += _text(left - 12, y + 27, f"tile {visit.tile}", "end bold")
        release = cycles if visit.release is None else visit.release
        body += _box(at(visit.begin), y, (release + 1 - visit.begin) * scale, 3 * high, "slot",
                     f"slot {visit.slot} of tile {visit.tile}: cycles {visit.begin} to {release}", ' rx="4"')
        for what, begin, end in visit.spans:
            kind = "link" if what == "fill" and visit.from_link else colours[what]
            place = {"fill": 0, "compute": 1, "send": 2}[what]
            rule = {"fill": "" if visit.from_link else "rule 1", "compute": "rule 2",
                    "send": "rule 4" if visit.escape else "rule 3"}[what]
            body += _box(at(begin), y + place * high + 1, (end - begin) * scale, high - 2, f"f-{kind}",
                         f"{what}: cycles {begin} to {end - 1}", ' rx="2"')
            body += _text(at(begin) + 6, y + place * high + 11.5, rule, "rule")
    for number, (kind, label) in enumerate((("ddr", "comes from DDR"), ("link", "comes over the link, is sent on"),
                                            ("mac", "is computed"))):
        x = left + (0, 130, 345)[number]
        body += _box(x, 4, 12, 12, f"f-{kind}") + _text(x + 18, 14, label, "tiny")
    return _file(body, (0, 0, left + width + 20, 54 + row * len(way)), f"Slice {way[0].name} over time",
                 "One row per tile; grey is the time in a slot, the bars in it are filling, compute and sending.")


def batch_picture(config: Config, events: Sequence[Event], stays: Sequence[Visit], cycles: int, followed: str) -> str:
    """The whole batch: of each tile the DDR channel, the MAC array, the ring link and the slots with the slices in them."""
    left, width, high, gap = 96, 760, 15, 14
    scale = width / cycles
    names = ["DDR", "MAC", "link", *(f"slot {slot}" for slot in range(config.tile.slots))]
    pitch = len(names) * high + gap
    body, bottom = "", 10 + pitch * config.array.tiles
    for cycle in range(0, cycles + 1, 100):
        x = left + cycle * scale
        body += f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{bottom}"/>\n' + _text(x, bottom + 14, str(cycle),
                                                                                              "mid tiny soft")
    for tile in range(config.array.tiles):
        y = 8 + tile * pitch
        body += _text(4, y + pitch / 2, f"tile {tile}", "bold")
        for line, name in enumerate(names):
            body += _text(left - 6, y + line * high + 11.5, name, "end tiny soft")
        busy = busy_spans(config, events, tile)
        for line, (resource, kind) in enumerate((("DDR", "ddr"), ("MAC", "mac"), ("D2D", "link"))):
            for first, length in busy[resource]:
                body += _box(left + first * scale, y + line * high + 2, length * scale, high - 4, f"f-{kind}")
        for visit in stays:
            if visit.tile == tile:
                end = cycles if visit.release is None else visit.release + 1
                x, top = left + visit.begin * scale, y + (3 + visit.slot) * high + 0.5
                long = (end - visit.begin) * scale
                edge = ";stroke:var(--ink);stroke-width:1.5" if visit.name == followed else ""
                body += _box(x, top, long, high - 1, "", f"{visit.name}: cycles {visit.begin} to {end - 1}",
                             f' rx="2" style="fill:{EXPERTS[visit.expert % len(EXPERTS)]}{edge}"')
                body += _text(x + long / 2, top + 11, visit.name[1:], "mid tiny on")
    return _file(body, (0, 0, left + width + 16, bottom + 22), "The whole batch",
                 "For each tile when its DDR channel, MAC array and link were busy, and which slice was in which slot; a "
                 f"colour an expert, slice {followed} with a dark frame.")
