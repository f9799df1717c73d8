"""The name of a run."""

from __future__ import annotations

import secrets
import time


def run_id() -> str:
    """What the runs on all hosts of one command have in common; later ones sort behind earlier ones, also within a
    second: runs of zones alone are quick, and a rollback undoes the last one.
    """
    second, rest = divmod(time.time_ns(), 10**9)
    when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
    return f"{when}-{rest * 2**16 // 10**9:04x}{secrets.token_hex(1)}"
