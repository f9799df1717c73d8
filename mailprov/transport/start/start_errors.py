"""Why the agent did not start although the login worked: one sentence from what the other side said.

    explain(endpoint, become, word, status, noise) -> HostUnreachable

Pure. Sudo's and the shell's own words only choose between sentences; words that are not recognised are
quoted.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailprov.errors import HostUnreachable
from mailprov.i18n import _
from mailprov.transport.endpoint import Endpoint
from mailprov.transport.start.sudo import Become

_NOT_ALLOWED = (
    "may not run sudo",
    "not in the sudoers file",
    "is not allowed to",
    "I'm afraid I can't do that",
)
_WANTS_PASSWORD = (
    "password is required",
    "authentication required",
    "interactive authentication",
)


def explain(
    endpoint: Endpoint, become: Become, word: str, status: int | None, noise: Sequence[str]
) -> HostUnreachable:
    """`word` is what Conversation.await_ready gave, `status` the exit status (None: connection lost)."""
    what, advice = _sentence(endpoint, become, word, status, noise)
    return HostUnreachable(endpoint.name, what, advice)


def _sentence(
    endpoint: Endpoint, become: Become, word: str, status: int | None, noise: Sequence[str]
) -> tuple[str, str]:
    user, name = endpoint.user, endpoint.name
    said = f" ({noise[-1]})" if noise else ""
    if word == "silent":
        return (
            _("the login as {user} worked, but no command came to run within a minute{said}").format(
                user=user, said=said
            ),
            _("Look for what the login shell's start-up files wait for, and at the load of the host"),
        )
    if word == "no-python":
        return _("there is no python3 on the host"), _(
            "Install it there: apt-get install python3, or run apply with --bootstrap-python"
        )
    if word == "small-python":
        return (
            _("python3 on the host is incomplete, as python3-minimal is{said}").format(said=said),
            _("Install it there: apt-get install python3, or run apply with --bootstrap-python"),
        )
    if word == "no-apt":
        return _("there is neither python3 nor apt-get on the host"), _("mailprov serves Debian and Ubuntu")
    if word == "not-installed":
        return _("apt-get could not install python3 on the host{said}").format(said=said), _(
            "Fix that there, then try again"
        )
    if word == "no-sudo":
        return (
            _("{user} is not root, and there is no sudo on the host").format(user=user),
            _("Install sudo there, or set `ssh.user: root`"),
        )
    if status is None and word == "over":
        return (
            _("the connection was lost while the agent was started{said}").format(said=said),
            _("Try again; look at the host's sshd log"),
        )
    if become is not Become.NOT and word != "ready":
        refused = _sudo_sentence(user, name, become, word, noise)
        if refused:
            return refused
    if any("not available" in line or "nologin" in line for line in noise):
        return (
            _("the account {user} may not run commands{said}").format(user=user, said=said),
            _("Give it a shell on the host (usermod -s /bin/sh {user}), or set another `ssh.user`").format(
                user=user
            ),
        )
    if status == 127:
        return (
            _("the login shell of {user} could not run /bin/sh{said}").format(user=user, said=said),
            _("Give {user} a POSIX shell on the host").format(user=user),
        )
    if not noise:
        return (
            _(
                "the login shell of {user} ended at once without running anything (exit status {status})"
            ).format(user=user, status=status),
            _("A shell such as /bin/false, or a forced command, does this: give {user} a real shell").format(
                user=user
            ),
        )
    return (
        _("the agent could not be started as {user}, exit status {status}{said}").format(
            user=user, status=status, said=said
        ),
        _("Run a command by hand (ssh, then python3 --version) to see what prevents it"),
    )


def _sudo_sentence(
    user: str, name: str, become: Become, word: str, noise: Sequence[str]
) -> tuple[str, str] | None:
    lines = [line for line in noise if line.startswith(("sudo", "Sorry", user, "I'm sorry"))]
    said = f" ({lines[-1]})" if lines else ""
    text = "\n".join(noise)
    if any(part in text for part in _NOT_ALLOWED):
        return (
            _("{user} may not use sudo on {name} to run python3 as root{said}").format(
                user=user, name=name, said=said
            ),
            _("Add a sudoers rule for {user} there, or log in as root").format(user=user),
        )
    if word == "sudo-denied":
        return (
            _("sudo on {name} refused the password of {user}").format(name=name, user=user),
            _("Check `ssh.become_password`; one attempt was made, and nothing else was sent"),
        )
    if become is Become.FREE and any(part in text.lower() for part in _WANTS_PASSWORD):
        return (
            _("{user} may not use sudo without a password on {name}").format(user=user, name=name),
            _("Give `ssh.become_password`, or add a NOPASSWD rule for this user"),
        )
    if lines:
        return _("sudo on {name} did not run python3 for {user}{said}").format(
            name=name, user=user, said=said
        ), _("Try it there: sudo -v")
    return None
