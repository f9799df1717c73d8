"""The command line that starts the agent on a host, as root, with or without a sudo password, in one exec.

    Become                          how to become root
    remote_command(become) -> str   what goes into the SSH exec request
    START_WORDS                     what the scripts say on stdout when they cannot

The login shell may be anything, so it gets one `exec /bin/sh -c 'script' sh 'loader'` whose single-quoted words hold
nothing that sh, bash, zsh, fish or csh would touch. All else is POSIX sh.

The password comes as the first line on stdin, never in argv (printf is a builtin). It is checked once with
`sudo -v`, whose stdin ends behind it: a wrong password can neither be tried twice nor make sudo read on into what
was meant for Python. Prompts are never matched. Only then sudo runs Python; it may or may not read the password
again (timestamp_timeout), and the loader drops a line that sudo left. The controller sends the agent only after
the loader's READY, so that no sudo, whatever its buffering, can swallow it.

Pure; raises nothing.
"""

from __future__ import annotations

from enum import Enum

from mailprov.wire.bundle import loader
from mailprov.wire.messages import MAGIC


class Become(Enum):
    NOT = "not"  # the user is root already
    FREE = "free"  # sudo, no password at hand
    PASSWORD = "password"  # noqa: S105 - sudo, with a password for the case that it is wanted


_SAY = f'echo "{MAGIC.decode()} '

# LC_ALL: what sudo says goes into error texts. /usr/bin first: a python3 of pyenv or /usr/local may be broken.
_FIND_PYTHON = (
    "LC_ALL=C; export LC_ALL; p=/usr/bin/python3; "
    f'[ -x "$p" ] || p=$(command -v python3) || {{ {_SAY}no-python"; exit 127; }}; '
)
_FIND_SUDO = f'command -v sudo >/dev/null || {{ {_SAY}no-sudo"; exit 127; }}; '
_RUN = '"$p" -I -u -c "$1"'

_SCRIPTS = {
    Become.NOT: _FIND_PYTHON + f"exec {_RUN}",
    Become.FREE: _FIND_PYTHON + _FIND_SUDO + f"exec sudo -n -- {_RUN}",
    Become.PASSWORD: _FIND_PYTHON
    + _FIND_SUDO
    # Python itself is what is tried, because a NOPASSWD rule may name nothing else.
    + '{ sudo -n -- "$p" -I -S -c pass </dev/null >/dev/null 2>&1; } && '
    + f"exec sudo -n -- {_RUN}; "
    + "IFS= read -r w; "
    + 'printf "%s\\n" "$w" | sudo -S -p "" -v || '
    + f'{{ {_SAY}sudo-denied"; exit 1; }}; '
    + f'{{ printf "%s\\n" "$w"; exec cat; }} | {{ sudo -S -p "" -- {_RUN}; {_SAY}ended $?"; }}',
}


def remote_command(become: Become) -> str:
    """One command line that means the same to every login shell."""
    return f"exec /bin/sh -c '{_SCRIPTS[become]}' sh '{loader()}'"
