"""Certificates of domains that have left a host, or its web server: they are not renewed any more, and go.

    LeftCertificate     compare, by certbot's files and ours; the files go with all others, and a rollback of the run
                        brings them back

Only those that were issued for the web server of a domain (model/host_state.py, `may_lack`): their names end in -web.
"""

from __future__ import annotations

import os
import re
from typing import Iterator, List, Sequence

from mailprov.agent import files
from mailprov.agent.changes import change
from mailprov.agent.context import ApplyContext
from mailprov.agent.resources.base import Look, Staged
from mailprov.agent.resources.tls_keys import FOLDER
from mailprov.agent.sentences import _
from mailprov.agent.transaction.staging import Stage

_CERTBOT = "/etc/letsencrypt"
_OURS = re.compile(r"([a-z0-9.-]+-web[0-9]*)\.pem")


class LeftCertificate(Staged):
    stage_order = 2

    @classmethod
    def compare(cls, look: Look) -> Iterator["LeftCertificate"]:
        wanted = {spec["name"] for spec in look.state.get("issued", ())}
        folder = look.tree.at(FOLDER)
        for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            found = _OURS.fullmatch(file)
            if found and found[1] not in wanted:
                detail = _("of a domain that this host serves no longer by a web server")
                spec = {"name": found[1], "paths": _paths(look.tree, found[1])}
                yield cls(spec, [change("certificate", "delete", found[1], detail)])

    def paths(self) -> Sequence[str]:
        return [path for path, _directory in self.spec["paths"]]

    def stage(self, run: ApplyContext, stage: Stage) -> None:
        for path, directory in self.spec["paths"]:
            stage.drop(path, directory=directory)


def _paths(tree: files.Tree, name: str) -> List[Sequence[object]]:
    """Ours, then certbot's: files and links before their directories."""
    found: List[Sequence[object]] = [(f"{FOLDER}/{name}.pem", False)]
    if files.look(tree.at(f"{_CERTBOT}/renewal/{name}.conf")) is not None:
        found.append((f"{_CERTBOT}/renewal/{name}.conf", False))
    for part in ("live", "archive"):
        directory = f"{_CERTBOT}/{part}/{name}"
        real = tree.at(directory)
        if os.path.isdir(real):
            found += [(f"{directory}/{one}", False) for one in sorted(os.listdir(real))]
            found.append((directory, True))
    return found
