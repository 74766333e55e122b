"""A page in headless Chromium: what it says, asks the network for, and complains about."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr",
         "--host-resolver-rules=MAP * ~NOTFOUND")


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
    """Its path. Skip without it; fail where ``TRAJECTILE_REQUIRE_TOOLS`` says that everything must be there."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("TRAJECTILE_REQUIRE_TOOLS") == "1":
            pytest.fail("Chromium is missing and TRAJECTILE_REQUIRE_TOOLS=1")
        pytest.skip("Chromium is not installed (Debian: apt install chromium): the report is not opened in a browser")
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
