"""Where things lie: the checkout, its pages, and the optional data beside it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
#: real gate traces and cell libraries, beside the repository where somebody has put them
SHARED = ROOT.parent / "shared"
