"""A machine that is still being set up: cloud-init goes first.

On its first boot cloud-init writes the host name, /etc/hosts, users and package sources, and runs apt. What is
read while it is at work is out of date at once, and what is written may be written over.

    wait(tree, say, check)      returns when cloud-init is not (or no longer) at work

Raises AgentError after PATIENCE seconds, and what `check` raises. On a machine without cloud-init it costs one stat.
The files in /run/cloud-init are those that cloud-init's documentation names for its status.
"""

from __future__ import annotations

import os
import time
from typing import Callable

from mailprov.agent import commands, files
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _

PATIENCE = 900.0  # seconds; a first boot that also upgrades all packages takes minutes
_LOOK = 0.5  # seconds between looks
_ENABLED = "/run/cloud-init/enabled"  # written by its generator on every boot on which it has something to do
_RESULT = "/run/cloud-init/result.json"  # written at its very end, failed or not
_LAST_UNIT = "cloud-final.service"


def wait(tree: files.Tree, say: Callable[[str], None], check: Callable[[], None]) -> None:
    """Wait for cloud-init. `check` is called at each look and may raise to end the waiting."""
    deadline = time.monotonic() + PATIENCE
    told = False
    while _at_work(tree):
        if not told:
            say(_("waiting for cloud-init, which still sets up this machine"))
            told = True
        if time.monotonic() > deadline:
            raise AgentError(
                _("cloud-init has not set up this machine within {seconds} s").format(
                    seconds=f"{PATIENCE:g}"
                ),
                _("see on the host what it waits for (cloud-init status --long), then try again"),
            )
        check()
        time.sleep(_LOOK)


def _at_work(tree: files.Tree) -> bool:
    if not os.path.exists(tree.at(_ENABLED)) or os.path.exists(tree.at(_RESULT)):
        return False
    # A cloud-init that died writes no result. Its last unit waits in a job until those before it are done.
    argv = ["systemctl", "show", "--property=ActiveState,Job", "--", _LAST_UNIT]
    values = dict(line.split("=", 1) for line in commands.run(argv).out.splitlines() if "=" in line)
    return values.get("ActiveState") == "activating" or values.get("Job", "0") not in ("", "0")
