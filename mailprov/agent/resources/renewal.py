"""certbot's renewal configuration of a certificate: how its timer will renew it, read and changed without certbot.

    settings(tree, name) -> {key: value}        {} where there is none
    answers_by(found, name) -> (authenticator, folder)      the folder is "" where it is not webroot
    keep_key(tree, spec, keep)                  `reuse_key`
    answer_by(tree, spec)                       standalone or webroot, as the spec says; nothing is issued for that
    follow(tree, hook)                          the same for all certificates that the deploy hook of a run that was
                                                brought back takes into service

`certbot reconfigure`, which could set both, is too new (2.3), and tries the challenge at the authority's staging server
(certbot(1)). The format is configobj's: `name = value` lines below [renewalparams], of which [[webroot_map]], a section
within, has the folder of each name and wins over `webroot_path`.
"""

from __future__ import annotations

import re
from typing import Dict, List, Sequence, Tuple

from mailprov.agent import files
from mailprov.agent.resources.base import Spec

FOLDER = "/etc/letsencrypt/renewal"
BY_HTTP = (
    "standalone",
    "webroot",
)  # both answer on port 80, so a certificate needs no issue to go from one to the other
_REUSES = re.compile(r"\s*reuse_key\s*=")
_ANSWERS = re.compile(r"\s*(authenticator|webroot_path)\s*=")
_IN_HOOK = re.compile(r"^  /etc/letsencrypt/live/(\S+)\) target=", re.MULTILINE)
_WEBROOT_IN_HOOK = re.compile(r"^# answers of the authority's challenges: (/\S+)$", re.MULTILINE)
_MAP = "[[webroot_map]]"


def settings(tree: files.Tree, name: str) -> Dict[str, str]:
    return _settings(files.read(tree.at(f"{FOLDER}/{name}.conf")) or b"")


def _settings(data: bytes) -> Dict[str, str]:
    found = {}
    for line in data.decode("utf-8", "replace").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith(("#", "[")):
            found[name.strip()] = value.strip()
    return found


def answers_by(found: Dict[str, str], name: str) -> Tuple[str, str]:
    """Of the settings of a certificate, for this name."""
    authenticator = found.get("authenticator", "?")
    if authenticator != "webroot":
        return authenticator, ""
    return authenticator, found.get(name) or found.get("webroot_path", "").rstrip(",")


def keep_key(tree: files.Tree, spec: Spec, keep: bool) -> None:
    path = tree.at(f"{FOLDER}/{spec['name']}.conf")
    data = files.read(path)
    if data is None or (_settings(data).get("reuse_key") == "True") is keep:
        return
    lines = [line for line in _lines(data) if not _REUSES.match(line)]
    if keep:
        lines.insert(_section(lines), "reuse_key = True")
    _write(path, lines)


def answer_by(tree: files.Tree, spec: Spec) -> None:
    path = tree.at(f"{FOLDER}/{spec['name']}.conf")
    data = files.read(path)
    if data is None:
        return
    lines = [line for line in _without_map(_lines(data)) if not _ANSWERS.match(line)]
    new = [f"authenticator = {spec['authenticator']}"]
    if spec.get("webroot"):
        new.append(f"webroot_path = {spec['webroot']},")
    place = _section(lines)
    _write(path, [*lines[:place], *new, *lines[place:]])


def follow(tree: files.Tree, hook: str) -> None:
    text = (files.read(tree.at(hook)) or b"").decode("utf-8", "replace")
    found = _WEBROOT_IN_HOOK.search(text)
    wanted = ("webroot", found[1]) if found else ("standalone", "")
    for name in _IN_HOOK.findall(text):
        now = answers_by(settings(tree, name), name)
        if now != wanted and now[0] in BY_HTTP:
            answer_by(tree, {"name": name, "authenticator": wanted[0], "webroot": wanted[1]})


def _without_map(lines: Sequence[str]) -> List[str]:
    kept, within = [], False
    for line in lines:
        if line.lstrip().startswith("["):
            within = line.strip() == _MAP
        if not within:
            kept.append(line)
    return kept


def _lines(data: bytes) -> List[str]:
    return data.decode("utf-8", "surrogateescape").splitlines()


def _write(path: str, lines: Sequence[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    files.write(path, text.encode("utf-8", "surrogateescape"), 0o644)


def _section(lines: Sequence[str]) -> int:
    """The place behind the head of the section that certbot reads its settings from; after a further section's head
    they would be something else.
    """
    places = [number for number, line in enumerate(lines) if line.strip() == "[renewalparams]"]
    return places[0] + 1 if places else len(lines)
