"""The text of ssh_config files, with what their Include lines bring (ssh_config(5)).

    user_file(), SYSTEM                     the usual files
    home_differs() -> bool                  whether the ssh program would look for the user's file elsewhere
    says_anything(user, system) -> bool     whether any line in them is about what we ask
    joined(user, system, name) -> str       one text without Include, for a reader that does not know the word
    absolute(path) -> str                   a file's text, its Include lines with whole paths

Where nothing is said, which is the case on most machines that run pipelines, no ssh program has to be asked.
Raises nothing: a file that cannot be read says nothing here; the ssh program says what it thinks of it.
"""

from __future__ import annotations

import glob
import os
import pwd
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

SYSTEM = Path("/etc/ssh/ssh_config")
_DEPTH = 16  # as in OpenSSH's readconf.c

# Keywords whose presence makes a difference to us. Host and Match alone decide nothing.
_ASKED = frozenset(
    (
        "user",
        "port",
        "hostname",
        "identityfile",
        "certificatefile",
        "identitiesonly",
        "identityagent",
        "proxyjump",
        "proxycommand",
        "userknownhostsfile",
        "globalknownhostsfile",
        "hostkeyalias",
        "canonicalizehostname",
        "tag",
    )
)
_LINE = re.compile(r"\s*([A-Za-z]+)(?:\s*=\s*|\s+)(.*?)\s*$")


def user_file() -> Path:
    """~/.ssh/config; it need not exist."""
    return Path.home() / ".ssh" / "config"


def home_differs() -> bool:
    """Whether HOME is another folder than the home in the password database. `~` is HOME for everybody, for us as well;
    the ssh program alone looks into the database (containers of CI services: HOME=/github/home for root).
    """
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir) != Path.home()
    except KeyError:  # such a user ssh refuses to run for
        return False


def says_anything(user: Path | None, system: Path | None) -> bool:
    """Whether any line of the files, and of those they include, is about something we ask."""
    return any(keyword in _ASKED for path in (user, system) if path for keyword, _, _ in _lines(path))


def joined(user: Path | None, system: Path | None, name: str) -> str:
    """Both files as one text. An Include in a Host block that is not about `name` is left out."""
    out: list[str] = []
    for path in (user, system):
        if path is not None:
            out.append("Host *")
            out += _joined(path, name, path, 0)
    return "\n".join(out) + "\n"


def absolute(path: Path) -> str:
    """The file's text with whole paths after Include, so that it means the same wherever it stands."""
    out = []
    for keyword, value, line in _lines(path, follow=False):
        if keyword == "include":
            out.append("Include " + " ".join(f'"{each}"' for each in _patterns(value, path)))
        else:
            out.append(line)
    return "\n".join(out) + "\n"


def _lines(
    path: Path, *, follow: bool = True, root: Path | None = None, depth: int = 0
) -> Iterator[tuple[str, str, str]]:
    """(keyword in lower case, value, line) of every line that says something."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None or line.lstrip().startswith("#"):
            continue
        keyword, value = found[1].lower(), found[2]
        if keyword == "include" and follow:
            if depth < _DEPTH:
                for each in _included(value, root or path):
                    yield from _lines(each, root=root or path, depth=depth + 1)
            continue
        yield keyword, value, line


def _joined(path: Path, name: str, root: Path, depth: int) -> Iterator[str]:
    head, applies = "Host *", True
    for keyword, value, line in _lines(path, follow=False):
        if keyword in ("host", "match"):
            head, applies = line, keyword == "match" or _matches(value, name)
        if keyword != "include":
            yield line
        elif applies and depth < _DEPTH:
            for each in _included(value, root):
                yield from _joined(each, name, root, depth + 1)
                yield head  # what follows belongs to the block of before


def _matches(patterns: str, name: str) -> bool:
    matched = False
    for pattern in patterns.replace('"', " ").split():
        if fnmatchcase(name.lower(), pattern.removeprefix("!").lower().replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched


def _patterns(value: str, root: Path) -> list[str]:
    """Relative paths begin at ~/.ssh in a user's file, and beside the system's file."""
    folder = root.parent if root.is_relative_to("/etc") else Path.home() / ".ssh"
    words = re.findall(r'"([^"]*)"|(\S+)', value)
    return [str(folder / Path(quoted or plain).expanduser()) for quoted, plain in words]


def _included(value: str, root: Path) -> list[Path]:
    return [Path(each) for pattern in _patterns(value, root) for each in sorted(glob.glob(pattern))]
