"""Puts the manual page into the wheel, written from the commands as they are: never stale. Needs typer alone."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualPage(BuildHookInterface):  # type: ignore[type-arg,unused-ignore]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        os.environ["LC_ALL"] = "C.UTF-8"  # in English, whoever builds it; the process builds and ends
        sys.path.insert(0, self.root)
        try:
            from scripts.reference import man
        finally:
            sys.path.remove(self.root)
        self.folder = tempfile.TemporaryDirectory()
        page = Path(self.folder.name, "mailprov.1")
        page.write_text(man.page(self.metadata.version), encoding="utf-8")
        page.chmod(0o644)
        build_data["shared_data"][str(page)] = "share/man/man1/mailprov.1"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self.folder.cleanup()
