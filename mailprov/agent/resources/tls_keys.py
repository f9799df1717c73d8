"""The keys of the host's certificates, as TLSA records name them (RFC 6698 section 2.1, usage 3, selector 1, type 1).

    facts(tree) -> {"served", "next"}     path of a certificate → SHA-256 of its public key, in hex
    after(tree, state) -> {path: hex}     of what the daemons read when an apply of this state is done, as far as it is
                                          known before: a key that is still to be made is not in it
    restored(tree, contents) -> {path: hex}     likewise, when a rollback is done that puts these contents back
    digest(certificate) -> str            of the first certificate in PEM; "" where there is none
    candidate(path), hold(path)           files beside a certificate while `mailprov tls rotate` is under way

What is served is what lies in the files that the daemons read, once it is the host's own: what stands there until an
authority has issued for the first time is not told. `next` is a key that is to be served later: it is published before.

While a key is being changed, a self-signed certificate has its successor, key and certificate, in `candidate`; of one
that certbot has issued anew `hold` says that the deploy hook must leave it where it is.
"""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Any, Dict, Optional

from mailprov.agent import der, files

FOLDER = "/etc/mailprov/tls"
_CERTBOT = "/etc/letsencrypt/live"
_ISSUED = ".acme.pem"
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def candidate(path: str) -> str:
    return f"{path}.next"


def hold(path: str) -> str:
    return f"{path}.hold"


def facts(tree: files.Tree) -> Dict[str, Dict[str, str]]:
    served: Dict[str, str] = {}
    coming: Dict[str, str] = {}
    folder = tree.at(FOLDER)
    names = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    for name in sorted(names):
        path = f"{FOLDER}/{name}"
        if name.endswith(_ISSUED):
            lineage = issued(tree, name[: -len(_ISSUED)])
            if lineage:
                _note(served, path, digest(files.read(tree.at(path))))
                if f"{name}.hold" in names and lineage != served.get(path):
                    coming[path] = lineage
        elif name.endswith(".crt") and f"{name[:-4]}.key" in names:
            _note(served, path, digest(files.read(tree.at(path))))
            _note(coming, path, digest(files.read(tree.at(candidate(path)))))
    return {"served": served, "next": coming}


def _note(found: Dict[str, str], path: str, value: str) -> None:
    if value:
        found[path] = value


def issued(tree: files.Tree, name: str) -> str:
    """The key that certbot has under this name; "" where it has nothing."""
    return digest(files.read(tree.at(f"{_CERTBOT}/{name}/fullchain.pem"), follow=True))


def after(tree: files.Tree, state: Dict[str, Any]) -> Dict[str, str]:
    now = facts(tree)
    found: Dict[str, str] = {}
    for spec in state["certificates"]:
        path = spec["certificate"]
        changes = spec.get("rotate") == "switch" and path in now["next"]
        _note(found, path, now["next" if changes else "served"].get(path, ""))
    for spec in state.get("issued", ()):
        path = spec["path"]
        waits = path in now["next"] and spec.get("rotate") != "switch"
        _note(found, path, now["served"].get(path, "") if waits else issued(tree, spec["name"]))
    for spec in state["files"]:
        if spec["path"].startswith(f"{FOLDER}/") and spec["path"].endswith(".crt"):
            _note(found, spec["path"], digest(spec["content"].encode("utf-8", "replace")))
    return found


def restored(tree: files.Tree, contents: Dict[str, Optional[bytes]]) -> Dict[str, str]:
    """`contents`: path → what will be there; None: nothing."""
    found = facts(tree)["served"]
    for path, data in contents.items():
        if path.startswith(f"{FOLDER}/") and path.endswith((".crt", _ISSUED)):
            found.pop(path, None)
            _note(found, path, digest(data))
    return found


def digest(certificate: Optional[bytes]) -> str:
    """RFC 5280 section 4.1: SEQUENCE {SEQUENCE {[0] version, serial, algorithm, issuer, validity, subject, key, …},
    …}, of which the version may be left out.
    """
    _before, _begin, rest = (certificate or b"").decode("ascii", "replace").partition(_BEGIN)
    body, end, _after = rest.partition(_END)
    if not end:
        return ""
    try:
        data = base64.b64decode(body)
        _tag, fields = der.content(der.content(data)[1])
        if fields[0] == 0xA0:
            _version, fields = der.split(fields)
        for _each in range(5):
            _value, fields = der.split(fields)
        return hashlib.sha256(der.split(fields)[0]).hexdigest()
    except (IndexError, ValueError):
        return ""
