"""The agent's own code, compiled, for runs to come: compiling takes most of the time that a plan needs on the host.

    settle(tree)      at the end of a run that changed this host: keep it; where nothing is managed any more, forget it

It lies in /var/lib/mailprov/compiled, 0600 in 0700, root's, under a name that is made of the sources as they were sent
and of the interpreter's own version of such code. wire/importer.py loads it. Nothing in it is secret, and without it
everything goes on as before, only slower; so this raises nothing.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

from mailprov.agent import files, manifest
from mailprov.agent.errors import AgentError

DIRECTORY = files.STATE + "/compiled"


def settle(tree: files.Tree) -> None:
    real = tree.at(DIRECTORY)
    try:
        if not manifest.load(tree).files:
            shutil.rmtree(real, ignore_errors=True)
            return
        loader: Any = globals().get("__loader__")
        if not hasattr(loader, "to_keep"):  # not sent by a controller: a test
            return
        files.make_directory(real, 0o700, 0, 0)
        name = loader.kept_as
        if not loader.codes:
            _write(os.path.join(real, name), loader.to_keep())
        for other in os.listdir(real):
            if other != name:
                files.remove(os.path.join(real, other))
    except (AgentError, OSError):
        pass


def _write(path: str, data: bytes) -> None:
    """Not synced, for half a file is seen by its hash; and what is left of it goes with the next run."""
    temporary = path + ".new"
    try:
        mode = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(temporary, mode, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
        os.rename(temporary, path)
    except OSError:
        files.remove(temporary)
        raise
