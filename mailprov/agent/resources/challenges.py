"""Answering an authority's challenge by the web server (RFC 8555 section 8.3): whether it would work.

    try_out(tree, webroot, names)       AgentError unless the web server gives out what lies in the folder

Tried from the host itself before certbot is called, because authorities limit how often a validation may fail. That the
way to the host is open from outside is not proved by it.
"""

from __future__ import annotations

import os
import secrets
import time
from typing import Sequence

from mailprov.agent import files
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _

PLACE = "/.well-known/acme-challenge/"
_PATIENCE = 15.0  # seconds: a web server that was just reloaded


def try_out(tree: files.Tree, webroot: str, names: Sequence[str], port: int = 80) -> None:
    folder = tree.at(webroot + PLACE.rstrip("/"))
    text = secrets.token_hex(16)
    file = f"{folder}/mailprov-{text[:8]}"
    for missing in [*files.missing_parents(file)]:
        files.make_directory(missing)
    files.write(file, text.encode("ascii"), 0o644, sync=False)
    try:
        for name in names:
            deadline = time.monotonic() + _PATIENCE
            while True:
                seen = _fetch(name, PLACE + os.path.basename(file), port)
                if seen == text:
                    break
                if time.monotonic() > deadline:
                    raise AgentError(
                        _(
                            "the web server on port 80 does not give out challenges of the authority for {name} "
                            "({reason}), so nothing was asked of the authority"
                        ).format(name=name, reason=seen),
                        _("look who listens on port 80 and at /var/log/nginx/error.log, then apply again"),
                    )
                time.sleep(0.2)
    finally:
        files.remove(file)


def _fetch(name: str, path: str, port: int) -> str:
    """What a client gets that asks for this name: the text, or else why not."""
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": name, "Connection": "close"})
        answer = connection.getresponse()
        if answer.status != 200:
            return _("status {code}").format(code=answer.status)
        return answer.read(1000).decode("ascii", "replace").strip()
    except (OSError, HTTPException) as error:
        return getattr(error, "strerror", "") or type(error).__name__
    finally:
        connection.close()
