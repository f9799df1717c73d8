"""What MkDocs calls while it builds the site (mkdocs.yml names this file): pages that are written at build time.

CONTRIBUTING.md and CHANGELOG.md stand beside the README, where a forge shows them, and are pages of the site as well.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from scripts.reference import commands, components, inventory, kill_matrix, probes, providers, records

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = {
    "reference/inventory.md": inventory.page,
    "reference/commands.md": commands.page,
    "reference/components.md": components.page,
    "reference/probes.md": probes.page,
    "reference/selftest.md": kill_matrix.page,
    "reference/providers.md": providers.page,
    "reference/records.md": records.page,
}
COPIED = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}


def on_files(files: Files, config: Any) -> Files:
    for path, page in WRITTEN.items():
        files.append(File.generated(config, path, content=page()))
    for path, source in COPIED.items():
        # Seen from the root the pages are in docs/.
        content = re.sub(r"\]\(docs/", "](", (ROOT / source).read_text(encoding="utf-8"))
        files.append(File.generated(config, path, content=content))
    return files
