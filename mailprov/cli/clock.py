"""When the command began. Imported before anything else: what is told at its end is how long its user has waited."""

from __future__ import annotations

import time

STARTED = time.monotonic()
