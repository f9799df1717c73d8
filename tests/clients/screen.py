"""A program that fills a terminal, used as a person uses it, in a home of its own.

Screen(home, place, argv)     a `with` block: it runs, sees the names of the place and trusts its authority
.shows(pattern)               waits until the screen has it (a regular expression) -> the screen's lines
.types(text), .presses(key)   a line of text without its end; keys as tmux names them (Enter, C-x)
begin(home, place)            words before a command that is not for a screen
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.clients.places import Place

PATIENCE = 120.0  # s
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"  # what Debian's programs trust
_SCRIPT = 'mount --bind "$1" /etc/resolv.conf && mount --bind "$2" "$3" && cd "$4" && shift 4 && exec "$@"'


def begin(home: Path, place: Place) -> list[str]:
    resolver = home / "resolv.conf"
    resolver.write_text(f"nameserver {place.dns}\n")
    own = ["env", "-i", f"HOME={home}", "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TERM=screen"]
    # Alpine asks OpenSSL, which has a folder of links to the bundle's certificates; this is their place in one file.
    own.append(f"SSL_CERT_FILE={place.authority}")
    mounts = [str(resolver), str(place.authority), BUNDLE, str(home)]
    return ["unshare", "--mount", "sh", "-c", _SCRIPT, "sh", *mounts, *own]


class Screen:
    def __init__(self, home: Path, place: Place, argv: list[str]) -> None:
        for program in ("tmux", argv[0]):
            if shutil.which(program) is None:
                pytest.skip(f"no {program} here (apt-get install {program})")
        self._socket = home / "tmux"
        self._argv = [*begin(home, place), *argv]

    def __enter__(self) -> Screen:
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "40", *self._argv)
        self._tmux("set-option", "-g", "remain-on-exit", "on")
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")

    def shows(self, pattern: str) -> str:
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, shown := self._tmux("capture-pane", "-p"), re.MULTILINE):
            if time.monotonic() > deadline:
                pytest.fail(f"not within {PATIENCE:g} s on the screen: {pattern}\n{shown}")
            time.sleep(0.2)
        return shown

    def types(self, text: str) -> None:
        self._tmux("send-keys", "-l", "--", text)

    def presses(self, *keys: str) -> None:
        for key in keys:
            self._tmux("send-keys", key)

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"tmux {words}: {done.stderr}"
        return done.stdout
