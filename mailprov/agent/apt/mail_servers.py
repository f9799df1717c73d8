"""Other mail servers than Postfix: Debian has one mail-transport-agent at a time, so apt removes them.

    others(tree) -> [Server]           those that go when Postfix comes; empty where Postfix is installed
    edited(server, content) -> [path]  files of such a server that are no longer as its packages brought them

Debian Policy 11.6: who delivers mail provides the virtual package mail-transport-agent and conflicts with all others.
Reads dpkg's status file only (dpkg-query(1) tells the same, and costs a process).
"""

from __future__ import annotations

import hashlib
import re
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional

from mailprov.agent import files

_STATUS = "/var/lib/dpkg/status"
# Where debconf keeps what it has asked about exim4, and what it answers by itself: local mail only
# (update-exim4.conf(8)). Names of the host and the format of local mailboxes are no loss.
_EXIM = "/etc/exim4/update-exim4.conf.conf"
_EXIM_USUAL = {
    "dc_eximconfig_configtype": "local",
    "dc_relay_domains": "",
    "dc_relay_nets": "",
    "dc_smarthost": "",
}
_EXIM_LINE = re.compile(r"^(dc_\w+)='(.*)'$", re.MULTILINE)


class Server(NamedTuple):
    """`conffiles`: path → MD5 of it as the package brought it, of all packages of the same source."""

    package: str
    conffiles: Dict[str, str]


def others(tree: files.Tree) -> List[Server]:
    here = [one for one in _stanzas(tree) if one.get("Status", "").endswith(" ok installed")]
    found = []
    for one in here:
        provided = [word.partition("(")[0].strip() for word in one.get("Provides", "").split(",")]
        if "mail-transport-agent" not in provided:
            continue
        if one["Package"] == "postfix":
            return []
        source = _source(one)
        kin = [each for each in here if _source(each) == source]
        lines = [
            line.split() for each in kin for line in each.get("Conffiles", "").splitlines() if line.strip()
        ]
        found.append(Server(one["Package"], {words[0]: words[1] for words in lines if len(words) > 1}))
    return found


def edited(server: Server, content: Callable[[str], Optional[bytes]]) -> List[str]:
    """`content` reads a file of the host."""
    found = []
    for path, digest in sorted(server.conffiles.items()):
        data = content(path)
        if data is not None and hashlib.md5(data).hexdigest() != digest:  # noqa: S324 (as dpkg keeps it)
            found.append(path)
    if server.package.startswith("exim4"):
        answers = dict(_EXIM_LINE.findall((content(_EXIM) or b"").decode("utf-8", "replace")))
        if any(answers.get(name, usual) != usual for name, usual in _EXIM_USUAL.items()):
            found.append(_EXIM)
    return found


def _source(stanza: Dict[str, str]) -> str:
    return stanza.get("Source", stanza["Package"]).partition(" ")[0]


def _stanzas(tree: files.Tree) -> Iterator[Dict[str, str]]:
    """deb822(5), as far as the status file uses it."""
    text = (files.read(tree.at(_STATUS)) or b"").decode("utf-8", "replace")
    for part in text.split("\n\n"):
        stanza: Dict[str, str] = {}
        name = ""
        for line in part.splitlines():
            if line[:1] in (" ", "\t"):
                stanza[name] = stanza.get(name, "") + "\n" + line
            else:
                name, _, value = line.partition(":")
                stanza[name] = value.strip()
        if "Package" in stanza:
            yield stanza
