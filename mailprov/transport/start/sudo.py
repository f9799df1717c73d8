"""The command line that starts the agent on a host as root, with or without a sudo password, in one exec.

    Become                             how to become root
    remote_command(become) -> str      what goes into the SSH exec request
    bootstrap_command(become) -> str   the same on a host without python3: installs it first

The login shell may be anything, so it gets one `exec /bin/sh -c 'script' sh 'loader' 'checker'`, whose
single-quoted words hold nothing that sh, bash, zsh, fish or csh would touch. The script is POSIX sh.

The password comes as the first line on stdin, never in argv (printf is a builtin). Prompts are never matched.
The checker tries the password once with `sudo -v`, before sudo gets near the stdin that the agent will come
on. Only then sudo runs Python; it may or may not read the password again (timestamp_timeout), and the
loader drops a line that sudo left. The controller sends the agent only after the loader's READY, because a
sudo may read more of its stdin than the password's line (sudo-rs 0.2.5 does).

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

# LC_ALL: what sudo says goes into error texts. /usr/bin first: a python3 from elsewhere may be broken.
_FIND_PYTHON = (
    "LC_ALL=C; export LC_ALL; p=/usr/bin/python3; "
    f'[ -x "$p" ] || p=$(command -v python3) || {{ {_SAY}no-python"; exit 127; }}; '
)
_FIND_SUDO = f'command -v sudo >/dev/null || {{ {_SAY}no-sudo"; exit 127; }}; '
_RUN = '"$p" -I -u -c "$1"'

# One wrong password must cost one attempt. At the end of its input C sudo gives up, but sudo-rs goes on with
# empty passwords up to passwd_tries, which can lock the account. So when the password's line has been read, a
# byte follows: once that is gone too, sudo is asking a second time, and is killed (it still runs under the
# user's real uid). Sending it earlier would not do, because sudo-rs reads all there is. Should the kill not
# be allowed, sudo gets a read error: a socket closed with data unread, the first `x`, resets its peer
# (unix(7)).
_CHECKER = ";".join(
    (
        "import fcntl,socket,subprocess as u,sys,termios,time",
        "a,b=socket.socketpair()",
        'b.send(b"x")',
        "a.sendall(sys.stdin.buffer.readline())",
        'c=u.Popen(["sudo","-S","-p","","-v"],stdin=b)',
        "unread=lambda:c.poll()is None and any(fcntl.ioctl(b,termios.FIONREAD,bytes(4)))",
        "wait=lambda:[time.sleep(.01)for _ in iter(unread,False)]",
        'wait();a.send(b"x");wait()',
        'c.poll()is None and u.call("kill -9 %d 2>/dev/null"%c.pid,shell=True)',
        "a.close()",
        "sys.exit(c.wait())",
    )
)

_SCRIPTS = {
    Become.NOT: _FIND_PYTHON + f"exec {_RUN}",
    Become.FREE: _FIND_PYTHON + _FIND_SUDO + f"exec sudo -n -- {_RUN}",
    Become.PASSWORD: _FIND_PYTHON
    + _FIND_SUDO
    # Python itself is what is tried, because a NOPASSWD rule may name nothing else. Not with sudo-rs, where
    # -n is a failed attempt for PAM (pam_faillock would count it).
    + "case $(sudo --version 2>&1) in sudo-rs*) ;; "
    + '*) sudo -n -- "$p" -I -S -c pass </dev/null >/dev/null 2>&1 && '
    + f"exec sudo -n -- {_RUN};; esac; "
    + "IFS= read -r w; "
    + 'printf "%s\\n" "$w" | "$p" -I -S -c "$2" || '
    + f'{{ {_SAY}sudo-denied"; exit 1; }}; '
    + f'{{ printf "%s\\n" "$w"; exec cat; }} | {{ sudo -S -p "" -- {_RUN}; {_SAY}ended $?"; }}',
}


# python3-minimal is too small: it has no json. Lists may be missing on a fresh host, or be too old to fetch from.
_INSTALL = (
    "install() { env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a NEEDRESTART_SUSPEND=1 apt-get -qq "
    "-o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -y --no-install-recommends install python3; }; "
    "refresh() { env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 update; }; "
    "{ install || { refresh && install; }; } 1>&2"
)
_HAVE_APT = f'command -v apt-get >/dev/null || {{ {_SAY}no-apt"; exit 127; }}; '
_C = "LC_ALL=C; export LC_ALL; "
_NOT_INSTALLED = f'|| {{ {_SAY}not-installed"; exit 1; }}; '
_AS_ROOT = f'sh -c "{_INSTALL}"'

# Without Python the checker's way is not open: here sudo's input stays open and empty while it asks a second time,
# until it is killed. The folder is the sign for the writer to end; a right password is no slower for it.
_TRY_ONCE = (
    "d=$(mktemp -d) || exit 1; "
    '{ printf "%s\\n" "$w"; i=0; while [ -d "$d" ] && [ "$i" -lt 300 ]; do sleep 0.1; i=$((i+1)); done; } | '
    '{ timeout -s KILL 20 sudo -S -p "" true; r=$?; rmdir "$d"; exit "$r"; }'
)

_BOOTSTRAPS = {
    Become.NOT: _C + _HAVE_APT + f"{{ {_INSTALL}; }} </dev/null {_NOT_INSTALLED}",
    Become.FREE: _C
    + _HAVE_APT
    + _FIND_SUDO
    + f"sudo -n true || exit 1; sudo -n -- {_AS_ROOT} </dev/null {_NOT_INSTALLED}",
    Become.PASSWORD: _C
    + _HAVE_APT
    + _FIND_SUDO
    + "IFS= read -r w; "
    + f'{_TRY_ONCE} || {{ {_SAY}sudo-denied"; exit 1; }}; '
    + f'printf "%s\\n" "$w" | sudo -S -p "" -- {_AS_ROOT} {_NOT_INSTALLED}',
}


def remote_command(become: Become) -> str:
    """One command line that means the same to every login shell."""
    return _line(_SCRIPTS[become])


def bootstrap_command(become: Become) -> str:
    """As `remote_command`, after apt-get has installed python3. Its output goes to stderr."""
    # The password has been read already where there is one.
    return _line(_BOOTSTRAPS[become] + _SCRIPTS[become].replace("IFS= read -r w; ", ""))


def _line(script: str) -> str:
    return f"exec /bin/sh -c '{script}' sh '{loader()}' '{_CHECKER}'"
