"""A page in headless Chromium: what it says, asks the network for, and complains about."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.tools import missing

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr",
         "--host-resolver-rules=MAP * ~NOTFOUND")

#: written into a copy of the page: measures what a browser made of it
PROBE = """<script>addEventListener("load", () => {
  const size = e => { const r = e.getBoundingClientRect(); return [r.width, r.height]; };
  const style = getComputedStyle(document.body);
  document.body.insertAdjacentHTML("beforeend", `<pre id="probe">${JSON.stringify({
    wide: document.documentElement.scrollWidth, window: innerWidth, ink: style.color, paper: style.backgroundColor,
    sections: [...document.querySelectorAll("section")].map(size), drawings: [...document.querySelectorAll("svg")].map(size),
    outside: [...document.querySelectorAll("svg.array text")].filter(e => { const t = e.getBoundingClientRect(),
      p = e.ownerSVGElement.getBoundingClientRect(); return t.left < p.left || t.right > p.right; }).length})}</pre>`);
});</script>"""


@dataclass(frozen=True)
class Page:
    """A page as it was opened."""

    #: the document after it was laid out
    html: str
    #: messages of its console
    console: list[str]
    #: what it asked the network for
    requests: list[str]


def require_chromium() -> str:
    """Its path; it has to be there."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        missing("Chromium is not installed (Debian: apt install chromium): the report is not opened in a browser")
    return found


def open_page(path: Path, *, width: int = 1000, dark: bool = False) -> Page:
    """Open a file in a window so wide, with a new profile beside it."""
    profile = path.parent / f"{path.stem}-{width}-{dark}"
    profile.mkdir()
    net = profile / "net.json"
    done = subprocess.run(
        [require_chromium(), *FLAGS, f"--user-data-dir={profile}", f"--log-net-log={net}", f"--window-size={width},900",
         *(["--blink-settings=preferredColorScheme=0"] if dark else []), "--dump-dom", path.resolve().as_uri()],
        capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    # the last entry is not closed if Chromium ends first
    text = net.read_text(encoding="utf-8")
    try:
        log = json.loads(text)
    except json.JSONDecodeError:
        log = json.loads(text.rstrip().rstrip(",") + "]}")
    # Chromium's own requests (for updates) have no page's key
    asked = {event["params"]["url"] for event in log["events"]
             if event.get("params", {}).get("network_isolation_key", "").startswith("file:")}
    return Page(done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line],
                sorted(url for url in asked if not url.startswith(("file:", "data:"))))


def check_page(page: str, folder: Path, *, width: int, dark: bool, sections: int) -> None:
    """No complaint, no request; everything has a size, nothing sticks out sideways; text stands out in light and dark."""
    (folder / "page.html").write_text(page, encoding="utf-8")
    (folder / "probe.html").write_text(re.sub(r"<meta http-equiv.*?>", "", page) + PROBE, encoding="utf-8")
    real = open_page(folder / "page.html", width=width, dark=dark)
    assert (real.console, real.requests) == ([], []) and "</html>" in real.html
    probed = re.search(r'<pre id="probe">(.*?)</pre>', open_page(folder / "probe.html", width=width, dark=dark).html)
    assert probed
    seen = json.loads(html.unescape(probed[1]))
    assert seen["window"] == width and seen["wide"] <= width and seen["outside"] == 0
    assert len(seen["sections"]) == sections and min(min(size) for size in seen["sections"] + seen["drawings"]) > 20
    ink, paper = (sum(map(int, re.findall(r"\d+", seen[name])[:3])) / 765 for name in ("ink", "paper"))
    assert (ink > 0.85 and paper < 0.15) if dark else (ink < 0.15 and paper > 0.95)
