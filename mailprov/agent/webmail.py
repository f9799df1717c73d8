"""What webmail leaves behind when it leaves a host: its users' settings and address books.

    kept(tree) -> sentence, or "" where webmail is still there, or never was

As components/webmail has them written. Reads only; raises AgentError for a manifest that cannot be read.
"""

from __future__ import annotations

import os

from mailprov.agent import files, manifest
from mailprov.agent.sentences import _

_FOLDER = "/var/lib/mailprov-webmail"
_DATABASE = _FOLDER + "/roundcube.db"
_CONFIGURATION = "/etc/mailprov/webmail/config.inc.php"


def kept(tree: files.Tree) -> str:
    if _CONFIGURATION in manifest.load(tree).files:
        return ""
    try:
        size = os.stat(tree.at(_DATABASE)).st_size
    except OSError:
        return ""
    return _(
        "{path} ({size} KiB): the users' settings and address books of webmail, which has left this host; whoever "
        "wants them gone runs there: {command}"
    ).format(path=_FOLDER, size=-(-size // 1024), command="rm -r " + _FOLDER)
