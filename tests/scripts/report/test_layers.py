"""Pages of whole models: their figures are those of the JSON, and a browser shows them without complaint or network."""

import html
import json
import re

import pytest

from tests.support.browser import check_page
from trajectile.scripts import cli
from trajectile.scripts.report import layers


def answer(folder, *arguments):
    """A page and the JSON of its command."""
    page, values = folder / "page.html", folder / "values.json"
    assert cli.main([*arguments, "--report", str(page), "--json", str(values)]) == 0
    return page.read_text(encoding="utf-8"), json.loads(values.read_text())


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    """A text of the toy model, by the golden model."""
    return answer(tmp_path_factory.mktemp("chat"), "chat", "--model-only", "--prompt", "if <b>", "--bytes", "5",
                  "--sequences", "2")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small model."""
    folder = tmp_path_factory.mktemp("model")
    return answer(folder, "model", "smoke", "--layers", "3", "--rest-us", "2", "--sequences", "1,4", "--windows", "1",
                  "--strategies", "fse,ep", "-o", str(folder / "out"))


def facts(page):
    """What a page embeds."""
    return json.loads(re.search(r'<script type="application/json" id="facts">(.*?)</script>', page, re.S)[1])


def test_chat(chat):
    """A column of parts for each batch, which sum to its cycles; layers sum to the whole."""
    page, values = chat
    assert facts(page) == values and len(values["runs"]) == values["batches"] == 10
    assert sum(run["cycles"] for run in values["runs"]) == values["cycles"] == sum(
        sum(layers.parts_of(run).values()) for run in values["runs"])
    for number, run in enumerate(values["runs"]):
        for name, cycles in layers.parts_of(run).items():
            assert cycles > 0 and f"<title>{number}, {name}: {cycles:,}</title>" in page
    assert page.count('class="f-mark"') == 10 and "golden model alone" in page
    for layer in range(2):
        mine = [run for run in values["runs"] if run["layer"] == layer]
        cells = re.search(rf'<th scope="row">{layer}</th><td>5</td>(.*?)</tr>', page)[1]
        assert f"{sum(run['cycles'] for run in mine):,}" in cells and f"{sum(run['roofline'] for run in mine):,}" in cells
    command = html.unescape(re.search(r"<pre>(trajectile.*?)</pre>", page)[1])
    assert command == "trajectile chat demo --prompt 'if <b>' --bytes 5 --sequences 2 --model-only"
    assert "if &lt;b&gt;" in page and "<b>if" not in page and "if <b>" not in page


def test_a_long_text_has_a_bar_a_step(chat, monkeypatch):
    """More batches than a page shows one by one."""
    monkeypatch.setattr(layers, "MOST_BARS", 9)
    page = layers.chat_page(chat[1] | {"rtl": True, "equal": False, "wrong": ["batch 3: 1 result differs"]}, "x")
    assert page.count('class="f-mark"') == 5 and "NOT EQUAL" in page and "batch 3: 1 result differs" in page


def test_model(model):
    """Parts of a step, energy, memory: those of the rows."""
    page, values = model
    assert facts(page) == values
    for row in values["rows"]:
        cells = [row["sequences"], row["strategy"], f"{row['tokens_per_second']:,.1f}", f"{row['step_us'] / 1000:,.2f}"]
        assert f'<th scope="row">{cells[0]}</th>' + "".join(f"<td>{cell}</td>" for cell in cells[1:]) in page
        assert sum(layers.parts_of(row | {"cycles": row["layer_cycles"]}).values()) == pytest.approx(row["layer_cycles"])
    assert page.count("<title>layer 2, streaming</title>") == 2 and "tiles are not counted" in page
    assert "--sequences 1,4 --strategies fse,ep --layers 3" in page


@pytest.mark.parametrize(("which", "width", "dark"), [("chat", 500, True), ("model", 1000, False)])
def test_in_a_browser(which, width, dark, tmp_path, request):
    """No complaint, no request; everything has a size, nothing sticks out sideways; text stands out in light and dark."""
    page = request.getfixturevalue(which)[0]
    check_page(page, tmp_path, width=width, dark=dark, sections=page.count("<section"))


def test_where_it_cannot_be_written(tmp_path, capsys):
    """Refused before anything runs."""
    assert cli.main(["chat", "--model-only", "--report", str(tmp_path)]) == 2
    assert "--report" in capsys.readouterr().err
