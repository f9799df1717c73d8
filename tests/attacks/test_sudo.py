"""A host's other users want the sudo password, and what is told to sudo must never be anything but a password.

sudo of Debian 12 and of testing, and testing's sudo-rs. The users are those of tests/lab/test_sudo.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from mailprov import lab
from mailprov.errors import MailprovError
from mailprov.wire import bundle
from tests.attacks.tries import Tries, some
from tests.lab.starting import start
from tests.lab.test_sudo import PASSWORD, Place, _prepare
from tests.lab.test_transport import ECHO, job

INVENTORY = """
filter: none
hosts:
  old: {address: 192.0.2.1, fqdn: old.sudo.test, lab: {release: debian-12}}
  new: {address: 192.0.2.2, fqdn: new.sudo.test, lab: {release: debian-testing}}
domains: {sudo.test: {hosts: [old, new], accounts: {ana: {password: {env: ANA}}}}}
"""
# What a shell, printf, sudo or Python could take for something else than a password.
ODD = [
    "$(touch /tmp/owned)", "`touch /tmp/owned`", "'; touch /tmp/owned; '", '"; touch /tmp/owned; "', "%s%s%s%n", "\\n\\x00", "-S", "--",
    "x\ttouch /tmp/owned", "| touch /tmp/owned", "&& touch /tmp/owned", "${IFS}", "*", "~", "!!", "#", "\\", "'", '"', " ", "x" * 5000, "x" * 255,
    "é€😀", "MAILPROV1 ready", "root", "{'t': 'go'}", "import os; os.system('touch /tmp/owned')", "x\r", "\x1b[2J", "x\x04", "\x03",
]  # fmt: skip
# What the host's root (or a package of his) may have set for everybody, by sudo's manual; sudo-rs knows few of them.
DEFAULTS = [
    "lecture=always", "insults", 'badpass_message="\\033]0;owned\\007no"', 'passprompt="MAILPROV1 ready "', "passprompt_override",
    "pwfeedback", "timestamp_timeout=0", "timestamp_timeout=-1", "timestamp_type=global", "passwd_tries=1", "passwd_tries=9",
    "requiretty", "use_pty", "!use_pty", "log_input", "log_output", "log_input,log_output,!compress_io", "env_reset", "!env_reset",
    "always_set_home", "umask=0777", "umask_override,umask=0077", "stay_setuid", "closefrom=100", "noexec", 'secure_path="/tmp:/usr/bin:/bin"',
    "rootpw", "targetpw", "authenticate", "mail_always", "syslog=auth,log_allowed", "verifypw=all", "passwd_timeout=0.1", "fqdn", "tty_tickets",
]  # fmt: skip


@pytest.fixture(scope="module", params=["old", "new"])
def place(
    request: pytest.FixtureRequest,
    lab_factory: Callable[[str], lab.Lab],
    tmp_path_factory: pytest.TempPathFactory,
) -> Place:
    made = lab_factory(INVENTORY)
    member = made.host(request.param)
    return _prepare(
        member.address, made.identity_file, tmp_path_factory.mktemp("place"), made.ssh_argv(request.param)
    )


@pytest.fixture(autouse=True)
def echo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    modules = {"mailprov": "", "mailprov.agent": "", "mailprov.agent.main": ECHO}
    monkeypatch.setattr(bundle, "agent_modules", lambda: modules)


def attempt(place: Place, user: str, password: str | None) -> tuple[bool, str]:
    """Did the agent run as root, and what was said."""
    try:
        channel = start(place.host(user, password), job(), connect_timeout=20)
    except MailprovError as error:
        return False, str(error)
    try:
        channel.send({"t": "go"})
        messages = list(channel.messages())
        return bool(messages) and messages[0].get("uid") == 0, " ".join(channel.noise())
    except MailprovError as error:
        return False, str(error)
    finally:
        channel.close()


def kinds(place: Place) -> list[str]:
    return ["c", "rs"] if place.has_rs else ["c"]


def test_a_password_is_only_a_password(place: Place, tries: Tries) -> None:
    """Wrong ones of every shape: refused in one sentence that does not hold it, one attempt each, and nothing runs."""
    place.run("rm -f /tmp/owned")
    for kind in kinds(place):
        for word in some(ODD, 3):
            user = f"{kind}-zerowrong"
            before = place.failures(user)
            root, said = attempt(place, user, word)
            counted = place.failures(user) - before
            shown = len(word) > 4 and word in said
            tries.held(
                (kind, word[:40]),
                not root and said.isprintable() and not shown and counted <= 1,
                (root, said, counted),
            )
        tries.held((kind, "nothing ran"), place.run("ls /tmp/owned 2>/dev/null || true").strip() == "")


def test_whatever_sudo_is_told_to_do(place: Place, tries: Tries) -> None:
    """A right and a wrong password under each setting: in as root or one sentence; the password in nothing that is said."""
    folder = "/etc/sudoers.d"
    for kind, setting in some(list(itertools.product(kinds(place), DEFAULTS)), 4):
        user = f"{kind}-zero"
        place.run(
            f"printf '%s\\n' 'Defaults:{user} {setting}' >{folder}/zz-attack; chmod 440 {folder}/zz-attack; visudo -c -q || true"
        )
        try:
            for password in (PASSWORD, "wr0ng-pwn3d"):
                root, said = attempt(place, user, password)
                leaks = password in said or "pwn3d" in said
                tries.held(
                    (kind, setting, password == PASSWORD),
                    not leaks and (password == PASSWORD or not root) and said.isprintable() is True,
                    (root, said[:200]),
                )
        finally:
            place.run(f"rm -f {folder}/zz-attack; rm -rf /var/log/sudo-io")


def test_other_users_look_on(place: Place, tries: Tries) -> None:
    """A user of the host reads what he can of all processes the whole time; and afterwards all files are searched."""
    place.run("rm -f /tmp/spied")
    watch = (
        "until test -e /tmp/enough; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; sleep 0.02; done "
        "| tr '\\0' '\\n' | grep -cF -f /tmp/wanted >/tmp/spied"
    )
    spy = "setsid setpriv --reuid=nobody --regid=nogroup --clear-groups --"
    place.run(
        "printf 'pwn3d\\np%%s \"$x\\n' >/tmp/wanted; chmod 644 /tmp/wanted"
    )  # not in the spy's own words
    place.run(f'rm -f /tmp/enough; {spy} sh -c "{watch}" </dev/null >/dev/null 2>&1 &')
    for kind in kinds(place):
        looked_on = (("zero", PASSWORD), ("zerowrong", "wr0ng-pwn3d"), ("pw", "wr0ng-pwn3d"), ("none", "wr0ng-pwn3d"),
                               ("free", "wr0ng-pwn3d"), ("python", "wr0ng-pwn3d"), ("wrong", "wr0ng-pwn3d"))  # fmt: skip
        for name, password in some(looked_on, 3):
            _, said = attempt(place, f"{kind}-{name}", password)
            tries.held((kind, name), password not in said and "pwn3d" not in said, said)
    place.run("touch /tmp/enough")
    for _ in range(100):
        if spied := place.run("cat /tmp/spied 2>/dev/null || true").strip():
            break
        place.run("sleep 0.2")
    tries.held("seen in a process", spied == "0", spied)
    for where in (
        "/var/log",
        "/tmp",
        "/run",
        "/var/tmp",
        "/home",
        "/root",
        "/var/lib/mailprov",
        "/etc/sudoers.d",
    ):
        found = place.run(
            f"grep -rlF -e pwn3d -e 'p%s \"$x' {where} 2>/dev/null | grep -v -e spied -e wanted -e sudo-test || true"
        ).strip()
        tries.held(where, not found, found)
    journal = place.run("journalctl --no-pager -n 5000 | grep -c -F pwn3d || true").strip()
    tries.held("journal", journal == "0", journal)
