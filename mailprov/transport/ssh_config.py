"""What ssh_config says about one address: asked of the ssh program, which knows best; else read by ourselves.

    Answers                         what is said; None and () where nothing is
    SshConfig(config, ignore)       the usual files, one file in their place, or none
      .ask(where, address, user, port) -> Answers
      .for_program() -> Path | None         a file for the ssh program, where it would read others
      .close()

`ssh -G` follows Include, Match (exec, too), CanonicalizeHostname and patterns, and takes 5 ms. It is not run when no
line of the files is about anything we ask. Without the program paramiko reads the files.
Raises HostUnreachable when ssh refuses the files, or does not answer (a `Match exec` that hangs).
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

from mailprov.errors import HostUnreachable
from mailprov.i18n import _
from mailprov.transport import config_files

# The name ssh answers with where the files name no user: ssh itself would say the name of who runs it.
_NOBODY = "mailprov-nobody"
_TIMEOUT = 20.0
_EXEC = re.compile(r"^\s*match\s.*\bexec\b", re.IGNORECASE | re.MULTILINE)
# What `ssh -G` prints for IdentityFile when nothing is said; which of them depends on its version.
_DEFAULT_KEY = re.compile(r"~/\.ssh/id_(rsa|dsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk|xmss)")


class Answers(NamedTuple):
    hostname: str | None = None
    user: str | None = None
    port: int | None = None
    keys: tuple[Path, ...] = ()
    certificates: tuple[Path, ...] = ()
    only_named_keys: bool = False
    agent: str | None = None
    proxy_jump: str | None = None
    proxy_command: str | None = None
    user_known_hosts: tuple[Path, ...] | None = None
    global_known_hosts: tuple[Path, ...] | None = None
    host_key_alias: str | None = None


class SshConfig:
    """One set of files. `config` stands for both usual files; `ignore`: there are none. For any thread."""

    def __init__(self, config: Path | None = None, ignore: bool = False) -> None:
        self.config = config
        self._user: Path | None = None if ignore else config or config_files.user_file()
        self._system: Path | None = None if ignore or config else config_files.SYSTEM
        self._program = shutil.which("ssh")
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()
        self._silent: bool | None = None

    def ask(self, where: str, address: str, user: str | None = None, port: int | None = None) -> Answers:
        """`where` is for errors; `user` and `port` are what the inventory says already (Match may look at them)."""
        if self.config is not None and not self.config.is_file():
            advice = _("Correct `ssh.config`")
            raise HostUnreachable(
                where, _("the ssh_config file {file} does not exist").format(file=self.config), advice
            )
        with self._lock:
            if self._silent is None:
                self._silent = not config_files.says_anything(self._user, self._system)
        if self._silent:
            return Answers()
        if self._program is None:
            text = config_files.joined(self._user, self._system, address)
            return _from_paramiko(where, text, address, user, port)
        said = self._run(where, address, user, port)
        return _answers(said, address, user, port)

    def for_program(self) -> Path | None:
        """What the ssh program is to read, to go by the same files as we do; None where it does that anyway."""
        if self.config is not None or self._user is None or not config_files.home_differs():
            return None
        with self._lock:
            path = self._made() / "program"
            text = config_files.absolute(self._user) + "Host *\n"
            text += config_files.absolute(self._system) if self._system else ""
            path.write_text(text)
            return path

    def close(self) -> None:
        """Remove what was written for the ssh program."""
        with self._lock:
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None

    def _run(self, where: str, address: str, user: str | None, port: int | None) -> dict[str, list[str]]:
        assert self._program
        command = [self._program, "-T", "-G", "-F", self._file()]
        command += [*(("-l", user) if user else ()), *(("-p", str(port)) if port else ()), "--", address]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise HostUnreachable(
                where,
                _("`ssh -G {address}` gave no answer within {seconds:.0f} s").format(
                    address=address, seconds=_TIMEOUT
                ),
                _("Look for a `Match exec` in your ssh_config that hangs, or set `ssh: {config: none}`"),
            ) from error
        text = done.stdout.decode("utf-8", "replace")
        if done.returncode != 0 or not text:
            lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
            raise HostUnreachable(
                where,
                _("ssh refuses its configuration ({said})").format(
                    said=lines[0] if lines else _("exit status {status}").format(status=done.returncode)
                ),
                _("Fix that file, or set `ssh: {config: none}` in the inventory"),
            )
        said: dict[str, list[str]] = {}
        for line in text.splitlines():
            keyword, _space, value = line.partition(" ")
            said.setdefault(keyword.lower(), []).append(value)
        return said

    def _file(self) -> str:
        """A configuration that reads as the files do, and ends with a mark for "no user said"."""
        with self._lock:
            path = self._made() / "config"
            if not path.exists():
                text = f'Include "{self._user}"\n' if self._user and self._user.exists() else ""
                text += config_files.absolute(self._system) if self._system else ""
                path.write_text(text + f"Host *\nUser {_NOBODY}\n")
            return str(path)

    def _made(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="mailprov-ssh-")
        return Path(self._folder.name)


def _answers(said: dict[str, list[str]], address: str, user: str | None, port: int | None) -> Answers:
    def one(keyword: str) -> str | None:
        value = said.get(keyword, [""])[0]
        return None if value in ("", "none") else value

    hostname = one("hostname") or address
    login = one("user")
    tokens = _Tokens(address, hostname, login if login != _NOBODY else user, port or int(one("port") or 22))
    keys = said.get("identityfile", [])
    unsaid = len(keys) > 3 and all(_DEFAULT_KEY.fullmatch(each) for each in keys)
    alias = one("hostkeyalias")
    return Answers(
        hostname=hostname,
        user=None if login == _NOBODY else login,
        port=int(one("port") or 22),
        keys=() if unsaid else tuple(tokens.path(each) for each in keys if each != "none"),
        certificates=tuple(tokens.path(each) for each in said.get("certificatefile", []) if each != "none"),
        only_named_keys=one("identitiesonly") == "yes",
        agent=_agent(said.get("identityagent", [""])[0], tokens),
        proxy_jump=one("proxyjump"),
        proxy_command=one("proxycommand"),
        user_known_hosts=_files(said.get("userknownhostsfile", [""])[0], tokens, _usual_known_hosts()),
        global_known_hosts=_files(said.get("globalknownhostsfile", [""])[0], tokens, ""),
        host_key_alias=tokens.expand(alias) if alias else None,
    )


def _usual_known_hosts() -> str:
    # ssh looks into the password database for the home, not into HOME.
    home = pwd.getpwuid(os.getuid()).pw_dir
    return f"{home}/.ssh/known_hosts {home}/.ssh/known_hosts2"


def _files(value: str, tokens: _Tokens, usual: str) -> tuple[Path, ...] | None:
    """Paths with spaces lose their quotes in `ssh -G`: what does not begin as a path goes on with the one before."""
    if not value or value == usual:
        return None
    found: list[str] = []
    for word in value.split(" "):
        if found and not word.startswith(("/", "~", "%", "none")):
            found[-1] += f" {word}"
        else:
            found.append(word)
    return tuple(tokens.path(each) for each in found if each != "none")


def _agent(value: str, tokens: _Tokens) -> str | None:
    """A socket's path or "none"; the word SSH_AUTH_SOCK and $NAME are environment variables."""
    if value in ("", "SSH_AUTH_SOCK"):
        return None
    if value == "none":
        return value
    if value.startswith("$"):
        return os.environ.get(value.strip("${}"), "none")
    return str(tokens.path(value))


class _Tokens:
    """The TOKENS of ssh_config(5) that `ssh -G` leaves in paths."""

    def __init__(self, written: str, hostname: str, user: str | None, port: int) -> None:
        me = pwd.getpwuid(os.getuid())
        node = os.uname().nodename
        self._values = {
            "%": "%",
            "d": str(Path.home()),
            "h": hostname,
            "i": str(os.getuid()),
            "k": hostname,
            "L": node.split(".")[0],
            "l": node,
            "n": written,
            "p": str(port),
            "r": user or "root",
            "u": me.pw_name,
        }

    def expand(self, text: str) -> str:
        return re.sub(r"%(.)", lambda found: self._values.get(found[1], found[0]), text)

    def path(self, text: str) -> Path:
        named = re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], ""), self.expand(text))
        return Path(named).expanduser()


def _from_paramiko(where: str, text: str, address: str, user: str | None, port: int | None) -> Answers:
    """paramiko's reader: Host and Match. It knows no Include, which `config_files.joined` has resolved."""
    import paramiko

    advice = _("Install openssh-client, or set `ssh: {config: none}` in the inventory")
    if _EXEC.search(text):
        # paramiko would run it with our terminal as its stdin.
        raise HostUnreachable(
            where, _("`Match exec` in ssh_config needs the ssh program, which is not on this machine"), advice
        )
    try:
        found = paramiko.SSHConfig.from_text(text).lookup(address)
        said = {key: list(value) if isinstance(value, list) else [str(value)] for key, value in found.items()}
        said.setdefault("user", [_NOBODY])
        return _answers(said, address, user, port)
    except Exception as error:  # it raises bare Exceptions, too, for lines that it cannot read
        why = (str(error) or type(error).__name__).splitlines()[0]
        what = _("ssh_config cannot be read without the ssh program ({why})").format(why=why)
        raise HostUnreachable(where, what, advice) from error
