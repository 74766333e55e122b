"""Build hook: an editable install of an unpacked sdist gets the links of ``trajectile/`` that a checkout has."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("configs", "hw", "scripts", "sw_model", "tb")


class Links(BuildHookInterface):
    """Makes links that are missing."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the wheel is built: ``version`` is ``editable`` or ``standard``, which needs no links."""
        if version != "editable":
            return
        for name in FOLDERS:
            link = Path(self.root) / "trajectile" / name
            if not link.is_dir():
                link.unlink(missing_ok=True)  # Git without symbolic links writes a file
                link.symlink_to(Path("..") / name, target_is_directory=True)
