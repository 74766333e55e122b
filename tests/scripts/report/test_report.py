"""The report: every figure is the run's, every section is there, a browser shows it without complaint or network."""

import html
import json
import re
from html.parser import HTMLParser

import pytest

from tests.support.browser import check_page, open_page
from tests.support.tools import require_icarus
from trajectile.scripts import cli
from trajectile.scripts.errors import UserError
from trajectile.scripts.flow import workload
from trajectile.scripts.maintain.tour import page as tour
from trajectile.scripts.report import player
from trajectile.scripts.report.facts import area_facts, facts
from trajectile.scripts.report.page import look_up, render, shown
from trajectile.sw_model.config import load
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import simulate
from trajectile.sw_model.timeline.phases import phases
from trajectile.sw_model.timeline.visits import visits

SECTIONS = ("exactness", "roofline", "watch", "utilisation", "stalls", "trajectories", "area", "energy", "configuration",
            "reproduce")
AREA = {"config": None, "technology": {"title": "some nm", "unit": "um2"},
        "groups": {"MAC array": {"cell_area": 1234.4, "sram_area": 0.0, "sram_bits": 0},
                   "expert buffer": {"cell_area": 100.0, "sram_area": 2000.0, "sram_bits": 512}},
        "totals": {"cell_area": 1334.4, "sram_area": 2000.0, "sram_bits": 512}}
POWER = {"cycles": 0, "energy_uj": 12.5, "uj_per_token": 1.25, "watts": 0.5, "clock_mhz": 400, "unknown": [],
         "assumed": {"ddr_pj_per_bit": 0.0, "clock_gating": False},
         "parts_uj": {"MAC array": {"logic": 10.0, "clock": 2.0}, "DDR": {"bits": 0.5}}}


class Figures(HTMLParser):
    """Figures that a page shows, by fact; sections; sources of anything that would be loaded."""

    def __init__(self, page):
        super().__init__()
        self.figures, self.sections, self.sources, self.open = [], [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.sources += [value for key, value in attributes if key in ("src", "href", "data", "srcset") and tag != "a"]
        if tag == "section":
            self.sections.append(values["id"])
        if "data-fact" in values:
            self.open = (values["data-fact"], values["data-form"])

    def handle_data(self, text):
        if self.open:
            self.figures.append((*self.open, text))
            self.open = None


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The page and the JSON of a run of the Verilog."""
    require_icarus()
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        area = folder / "area.json"
        area.write_text(json.dumps(AREA | {"config": load("tour", ["tile.slots=4"]).as_dict}))
        assert cli.main(["report", "tour", "--set", "tile.slots=4", "--simulator", "icarus", "--tokens", "8",
                         "-o", "here/page.html", "--json", "run.json", "--area", "area.json"]) == 0
    return (folder / "here" / "page.html").read_text(encoding="utf-8"), json.loads((folder / "run.json").read_text())


def model_facts(config, dataflow="spread", area=None):
    """Timeline and facts of a batch of the demo, from the model; its counters are the model's."""
    batch = workload.load(config, gate_only=True, tokens=12)
    line = simulate(plan := schedule(config, batch.topk_ids, dataflow=dataflow))
    run = {"config": config.as_dict | {"name": "demo <b>"}, "tokens": 12, "trace": batch.source, "order": "balanced",
           "seed": 1, "dataflow": dataflow, "simulator": "none", "timing_only": False, "results_exact": True,
           "results": "all",
           "events_exact": True, "events": "all", "cycles_rtl": line.cycles, "cycles_model": line.cycles,
           "roofline_cycles": 9000, "roofline": {"ddr": 9000.0, "mac": 10.0, "d2d": 20.0, "io": 30.0}, "fidelity": {},
           "first_load_cycles": line.first_load_cycles, "streaming_cycles": line.streaming_cycles, "host_accesses": 6,
           "utilisation": line.utilisation(),
           "ddr_cycles": {"start": 1, "busy": 2, "idle": 3, "tail": 4},
           "counters": [{"COUNT_WORD": n} for n in line.mac_busy]}
    area = area and area | {"config": run["config"], "power": POWER | {"cycles": line.cycles}}
    return line, facts(config, plan, line.events, run, area, "trajectile report demo")


def shared_facts(config):
    """The same of a shared batch, without area."""
    return model_facts(config, "shared")[1]


@pytest.fixture(scope="module")
def demo():
    """Configuration, timeline and facts."""
    config = load("demo")
    return config, *model_facts(config, area=AREA)


def test_figures_are_those_of_the_run(written):
    """The JSON in the page holds the run's JSON; every figure says what it says there; all sections are there."""
    page, run = written
    inside = json.loads(re.search(r'<script type="application/json" id="facts">(.*?)</script>', page, re.S)[1])
    assert inside["run"] == {key: value for key, value in run.items() if key not in ("wall_seconds", "files", "report")}
    parsed = Figures(page)
    assert tuple(parsed.sections) == SECTIONS
    assert len(parsed.figures) > 80 and {"run.cycles_rtl", "run.config.tile.slots", "area.total.cell_area"} <= {
        fact for fact, _, _ in parsed.figures}
    for fact, form, text in parsed.figures:
        assert text == shown(look_up(inside, fact), form), fact
    for section in run["roofline"]:
        assert f"{run['roofline'][section]:,.0f}" in page
    steps = inside["steps"]
    assert all(tile["doorbell"] == 0 < tile["lists"] < tile["formed"] < tile["finished"] < tile["complete"] for tile in steps)
    assert max(tile["complete"] for tile in steps) == run["cycles_rtl"] and "completion record answered" in page
    command = html.unescape(re.search(r"<pre>(.*?)</pre>", page)[1])
    assert command == "trajectile report tour --set tile.slots=4 --tokens 8 --simulator icarus --area area.json"


def test_the_tour_is_this_run(written):
    """docs/tour.md tells of the same batch: the Verilog takes as many cycles, with equal events and results."""
    line = tour.batch()[1]
    assert written[1]["cycles_rtl"] == line.cycles and written[1]["tokens"] == 8
    assert written[1]["events_exact"] is written[1]["results_exact"] is True


def test_phases(written):
    """A bar for each phase of each tile, from the doorbell to the completion record."""
    inside = json.loads(re.search(r'id="facts">(.*?)</script>', written[0], re.S)[1])
    assert [inside["phases"], inside["phase_names"].keys() & {"sums"}] == [
        [one._asdict() for one in phases(4, tour.batch()[1].events)], set()]
    for one in inside["phases"]:
        assert f"<title>{one['name']}: cycles {one['begin']:,} to {one['end']:,}</title>" in written[0]
    assert max(one["end"] for one in inside["phases"]) == inside["run"]["cycles_rtl"]


def test_a_shared_batch():
    """Records of all tiles and sums have their phases, on the page and in the player."""
    config = load("demo")
    page = render(config, shared_facts(config))
    assert ">sums: cycles" in page and "go round" in page and "records and sums go round the ring in their phases" in page
    player_facts = json.loads(re.search(r'id="facts">(.*?)</script>', page, re.S)[1])["player"]
    assert {name for _, name, _, _ in player_facts["phases"]} >= {"records", "lists", "counts", "slices", "sums", "results"}


def test_sums(written, demo):
    """Cycles of a tile, of a channel and shares over time: they are those of the batch, and of the counters of the RTL."""
    inside = json.loads(re.search(r'id="facts">(.*?)</script>', written[0], re.S)[1])
    for found in (inside, demo[2]):
        cycles = found["run"]["cycles_rtl"]
        assert all(sum(row.values()) == cycles for part in ("mac", "ddr") for row in found[part]["cycles"])
        assert all(words <= row["compute"] for words, row in zip(found["mac"]["words"], found["mac"]["cycles"], strict=True))
        widths = [b - a for a, b in zip(found["edges"], found["edges"][1:], strict=False)]
        for name, shares in found["utilisation"].items():
            mean = sum(share * width for share, width in zip(shares, widths, strict=True)) / cycles
            assert mean == pytest.approx(found["run"]["utilisation"][name.lower()])
        ways = [*(kind["slices"] for kind in found["trajectories"]), found["other_trajectories"]["slices"]]
        assert sum(ways) == found["slices"] == sum(tile["loaded"] for tile in found["tiles"])


def test_nothing_is_loaded(written):
    """No address in the page, no script that runs, and the page forbids both."""
    assert Figures(written[0]).sources == ["data:,"]
    assert "default-src 'none'; script-src 'sha256-" in written[0] and written[0].count("<script") == 2


#: clicks and keys, and what the player says after each
CLICKS = """<script>addEventListener("load", () => {
  const $ = id => document.getElementById(id), said = [];
  const read = what => said.push([what, $("says").textContent, $("cycle").value,
    document.querySelectorAll("#stage .moving").length, document.querySelectorAll("#stage [opacity='0.15']").length,
    [...document.querySelectorAll("#stage .held")].map(e => e.textContent).filter(t => t).sort(),
    [...document.querySelectorAll("#stage .small")].map(e => e.textContent)]);
  const key = name => $("player").dispatchEvent(new KeyboardEvent("keydown", {key: name, bubbles: true}));
  read("open");
  $("forward").click(); read("forward");
  $("cycle").value = 3000; $("cycle").oninput(); read("slider");
  $("follow-expert").selectedIndex = 1; $("follow-expert").onchange(); read("follow");
  key("ArrowRight"); read("right"); key("End"); read("end"); key("ArrowLeft"); read("left"); key("Home"); read("home");
  $("play").click(); said.push($("play").textContent); key(" "); said.push($("play").textContent);
  document.body.insertAdjacentHTML("beforeend", `<pre id="probe">${
    JSON.stringify(said)}</pre>`);
});</script>"""


def test_player(demo, tmp_path):
    """By clicks and keys: it shows what the model's events say of that cycle."""
    config, line, found = demo
    page = render(config, found)
    (tmp_path / "page.html").write_text(re.sub(r"<meta http-equiv.*?>", "", page) + CLICKS, encoding="utf-8")
    opened = open_page(tmp_path / "page.html")
    assert opened.console == []
    *said, playing, stopped = json.loads(html.unescape(re.search(r'<pre id="probe">(.*?)</pre>', opened.html)[1]))
    says = {what: (text, int(cycle), moving, faint, names) for what, text, cycle, moving, faint, names, _ in said}
    for _, _, cycle, _, _, _, phases_shown in said:
        now = [one for one in found["phases"] if one["begin"] <= int(cycle) < one["end"]]
        assert phases_shown == [", ".join(one["name"] for one in now if one["tile"] == tile) for tile in range(4)]
    assert "slices" in said[2][6][0]
    assert (playing, stopped) == ("Pause", "Play")
    assert "the doorbell rings" in says["open"][0] and says["forward"][1] == min(
        event.cycle for event in line.events if event.cycle > 0 and event.kind not in ("count", "pick"))
    held = [visit for visit in visits(line.events) if visit.begin <= 3000 < visit.release]
    assert says["slider"][4] == sorted(visit.name for visit in held) and says["slider"][2] > 0
    first = min(visit.expert for visit in visits(line.events))
    assert says["follow"][3] >= sum(visit.expert != first for visit in held)
    assert f"e{first}." in says["right"][0] or "tile" in says["right"][0]
    assert says["end"][1] == line.cycles > says["left"][1] and says["home"][1] == 0
    assert "hidden" not in re.search(r'<div id="player"[^>]*>', opened.html)[0]


#: before everything else: no motion, and frames that come when they are asked for
STILL = """<script>matchMedia = () => ({matches: true});
  const frames = []; requestAnimationFrame = f => frames.push(f);</script>"""
#: two frames that are far apart, at each speed
FRAMES = """<script>addEventListener("load", () => {
  const $ = id => document.getElementById(id), said = [];
  for (const speed of ["0.1", "4"]) {
    $("speed").value = speed; $("cycle").value = 0; $("cycle").oninput();
    $("play").click();
    const start = performance.now();
    for (const later of [400 / speed, 700 / speed]) {
      frames.splice(0).forEach(f => f(start + later));
      said.push(+$("cycle").value);
    }
    $("play").click();
  }
  document.body.insertAdjacentHTML("beforeend", `<pre id="probe">${
    JSON.stringify(said)}</pre>`);
});</script>"""


def test_player_without_motion(demo, tmp_path):
    """A picture for each change, at any speed, also the slowest."""
    config, line, found = demo
    page = re.sub(r"<meta http-equiv.*?>", STILL, render(config, found)) + FRAMES
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    opened = open_page(tmp_path / "page.html")
    first = min(event.cycle for event in line.events if event.cycle > 0 and event.kind not in ("count", "pick"))
    assert json.loads(re.search(r'<pre id="probe">(.*?)</pre>', opened.html)[1]) == [0, first, 0, first]


def test_a_long_run_is_cut(demo, monkeypatch):
    """A page holds the first stays in slots, and says how many are left out."""
    config, line, found = demo
    monkeypatch.setattr(player, "MOST_VISITS", 100)
    stays = visits(line.events)
    cut = player.played(config, stays, line.events, found["tiles"], line.cycles)
    assert len(cut["visits"]) == 100 and cut["left_out"] == len(stays) - 100
    assert "more are left out" in render(config, found | {"player": cut})


def test_energy(demo):
    """Shown as an estimate, and only for the batch that it is of."""
    config, line, found = demo
    page = render(config, found)
    assert "An estimate." in page and "DRAM is not counted" in page and "12.5" in page
    assert "demo &lt;b&gt;" in page and "demo <b>" not in page
    other = AREA | {"config": config.as_dict, "power": POWER | {"cycles": line.cycles + 1}}
    assert area_facts(config, other, line.cycles)["energy"] is None
    assert "Not estimated" in render(config, found | {"energy": None, "area": None})


def test_area_of_something_else(tmp_path, capsys):
    """Refused, before anything runs where that can be seen."""
    with pytest.raises(UserError, match="another configuration"):
        area_facts(load("demo"), AREA | {"config": load("smoke").as_dict}, 5)
    with pytest.raises(UserError, match="groups"):
        area_facts(load("smoke"), {"config": load("smoke").as_dict}, 5)
    (tmp_path / "area.json").write_text("no JSON")
    for options, named in ((["--area", str(tmp_path / "area.json")], "area.json"),
                           (["--area", "x", "--no-area"], "--no-area"), (["-o", str(tmp_path)], "--output")):
        assert cli.main(["report", "smoke", *options]) == 2
        assert named in capsys.readouterr().err


@pytest.mark.parametrize(("width", "dark"), [(1000, False), (500, True)], ids=["light", "dark and narrow"])
def test_in_a_browser(demo, tmp_path, width, dark):
    """No complaint, no request; everything has a size, nothing sticks out sideways; text stands out in light and dark."""
    check_page(render(demo[0], demo[2]), tmp_path, width=width, dark=dark, sections=len(SECTIONS))


def test_the_browser_sees_what_is_wrong(tmp_path):
    """A message and a request would be found."""
    (tmp_path / "bad.html").write_text('<script>console.error("wrong")</script><link rel="stylesheet" href="https://fonts.googleapis.com/css">')
    bad = open_page(tmp_path / "bad.html")
    assert any("wrong" in line for line in bad.console) and bad.requests == ["https://fonts.googleapis.com/css"]
