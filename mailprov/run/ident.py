"""The name of a run."""

from __future__ import annotations

import secrets
import time


def run_id() -> str:
    """What the runs on all hosts of one command have in common; later ones sort behind earlier ones."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
