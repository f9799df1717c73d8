"""--json: each event as one JSON object on one line of stdout, flushed at once so that a pipe can follow the run.

In ASCII: whatever the encoding of stdout is, no character is lost.
"""

from __future__ import annotations

import json
from typing import TextIO

from mailprov.model.events import Event, to_json


class JsonLines:
    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __call__(self, event: Event) -> None:
        self._out.write(json.dumps(to_json(event), ensure_ascii=True) + "\n")
        self._out.flush()
