"""One comparison of a host in a test's own hands, for tests of one kind of resource.

look_at(tree, observed, remembered, **parts) -> Look    `parts` of the state as they travel; the rest of it is empty
"""

from __future__ import annotations

from typing import Any

from mailprov.agent import files, manifest, redaction
from mailprov.agent.changes import Observed
from mailprov.agent.resources.base import Look
from mailprov.agent.resources.passwd_file import Passwords
from tests.agent.driver import state


def look_at(
    tree: files.Tree,
    observed: Observed | None = None,
    remembered: manifest.Manifest | None = None,
    **parts: Any,
) -> Look:
    return Look(
        tree,
        {**state(), **parts},
        observed or Observed({}, {}, set()),
        manifest=remembered or manifest.load(tree),
        passwords=Passwords(tree),
        redact=redaction.Redactor(),
    )
