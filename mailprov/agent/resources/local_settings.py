"""Local settings that somebody made on the host, where mailprov's own configuration must let them win.

    merged(content, own, path) -> str              Postfix: the lines of the host's own file behind main.cf
    overridden(text, names) -> [(name, value, value)]   settings that are given twice, and differently
    settings(text) -> [(name, value)]              all that a text sets, in its order
    read(tree, path) -> bytes | None               such a file; AgentError when others than root could write it

Postfix warns of a name that stands in main.cf twice, and then takes the later one. So what is overridden becomes a
comment where it was. Because the merged file is what is wanted, an edit of the host's own file is no drift: it is a
change that the next plan shows and the next apply checks. Pure but for `read`.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Dict, List, Optional, Sequence, Tuple

from mailprov.agent import files
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _

_SETTING = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*(.*)")

Logical = Tuple[str, str, List[str]]  # name ("" for comments and blank lines), value, lines


def read(tree: files.Tree, path: str) -> Optional[bytes]:
    """The content, None when there is no such file. A link is followed: other tools may keep the file elsewhere."""
    real = tree.at(path)
    data = files.read(real, follow=True)
    if data is None:
        return None
    status = os.stat(real)
    if status.st_uid not in (0, os.geteuid()) or stat.S_IMODE(status.st_mode) & 0o022:
        raise AgentError(
            _("{path} can be changed by others than root, and it configures the mail service").format(
                path=path
            ),
            _("give it to root alone: {commands}").format(commands=f"chown root {path}; chmod 0644 {path}"),
        )
    return data


def merged(content: str, own: Optional[bytes], path: str) -> str:
    """main.cf with the settings of the host's own file last, and what they replace as comments."""
    logical = _logical(content)
    if own is not None:
        added = [one for one in _logical(own.decode("utf-8", "surrogateescape")) if not _is_comment(one)]
        for name, _value, lines in added:
            if not name:
                raise AgentError(
                    _("{path} has a line that is not a setting: {line}").format(
                        path=path, line=repr(lines[0][:80])
                    ),
                    _("write each as `name = value`, as in main.cf"),
                )
        if added:
            heading = ["", f"# Local settings of this host, from {path}."]
            logical += [("", "", [line]) for line in heading] + added
    last = {name: place for place, (name, _value, _lines) in enumerate(logical) if name}
    text: List[str] = []
    for place, (name, _value, lines) in enumerate(logical):
        if name and last[name] != place:
            text += ["# replaced below: " + lines[0], *("#   " + line.strip() for line in lines[1:])]
        else:
            text += lines
    return "\n".join(text) + "\n"


def overridden(text: str, names: Sequence[str]) -> List[Tuple[str, str, str]]:
    """Of these names, those with a first and another last value. Only lines that are not indented count."""
    first: Dict[str, str] = {}
    last: Dict[str, str] = {}
    for name, value, _lines in _logical(text):
        if name in names:
            first.setdefault(name, value)
            last[name] = value
    return [(name, first[name], last[name]) for name in first if first[name] != last[name]]


def settings(text: str) -> List[Tuple[str, str]]:
    """Name and value of each setting; one that is given twice comes twice."""
    return [(name, value) for name, value, _lines in _logical(text) if name]


def _logical(text: str) -> List[Logical]:
    """postconf(5): a line that begins with white space continues the one before; comments may stand between."""
    found: List[Logical] = []
    between: List[Logical] = []  # comments and blank lines: of the setting before, if it goes on behind them
    for line in map(str.rstrip, text.splitlines()):
        if not line or line.lstrip().startswith("#"):
            between.append(("", "", [line]))
            continue
        if line[0] in " \t" and found and found[-1][0]:
            name, value, lines = found[-1]
            lines += [one[2][0] for one in between] + [line]
            found[-1] = (name, f"{value} {line.strip()}".strip(), lines)
        else:
            setting = _SETTING.fullmatch(line)
            found += between
            found.append((setting[1], setting[2], [line]) if setting else ("", "", [line]))
        between = []
    return found + between


def _is_comment(one: Logical) -> bool:
    return not one[0] and (not one[2][0].strip() or one[2][0].strip().startswith("#"))
