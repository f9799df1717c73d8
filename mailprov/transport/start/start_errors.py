"""Why the agent did not start although the login worked: one sentence from what the other side said.

    explain(endpoint, become, word, status, noise) -> HostUnreachable

Pure. Sudo's and the shell's own words only choose between sentences; words that are not recognised are
quoted.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailprov.errors import HostUnreachable
from mailprov.transport.endpoint import Endpoint
from mailprov.transport.start.sudo import Become

_INSTALL = "Install it there: apt-get install python3"
_NOT_ALLOWED = (
    "may not run sudo",
    "not in the sudoers file",
    "is not allowed to",
    "I'm afraid I can't do that",
)
_WANTS_PASSWORD = ("password is required", "authentication required", "interactive authentication")


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
            f"the login as {user} worked, but no command came to run within a minute{said}",
            "Look for what the login shell's start-up files wait for, and at the load of the host",
        )
    if word == "no-python":
        return "there is no python3 on the host", f"{_INSTALL}, or run apply with --bootstrap-python"
    if word == "small-python":
        return (
            f"python3 on the host is incomplete, as python3-minimal is{said}",
            f"{_INSTALL}, or run apply with --bootstrap-python",
        )
    if word == "no-apt":
        return "there is neither python3 nor apt-get on the host", "mailprov serves Debian and Ubuntu"
    if word == "not-installed":
        return f"apt-get could not install python3 on the host{said}", "Fix that there, then try again"
    if word == "no-sudo":
        return (
            f"{user} is not root, and there is no sudo on the host",
            "Install sudo there, or set `ssh.user: root`",
        )
    if status is None and word == "over":
        return (
            f"the connection was lost while the agent was started{said}",
            "Try again; look at the host's sshd log",
        )
    if become is not Become.NOT and word != "ready":
        refused = _sudo_sentence(user, name, become, word, noise)
        if refused:
            return refused
    if any("not available" in line or "nologin" in line for line in noise):
        return (
            f"the account {user} may not run commands{said}",
            f"Give it a shell on the host (usermod -s /bin/sh {user}), or set another `ssh.user`",
        )
    if status == 127:
        return (
            f"the login shell of {user} could not run /bin/sh{said}",
            f"Give {user} a POSIX shell on the host",
        )
    if not noise:
        return (
            f"the login shell of {user} ended at once without running anything (exit status {status})",
            f"A shell such as /bin/false, or a forced command, does this: give {user} a real shell",
        )
    return (
        f"the agent could not be started as {user}, exit status {status}{said}",
        "Run a command by hand (ssh, then python3 --version) to see what stands in the way",
    )


def _sudo_sentence(
    user: str, name: str, become: Become, word: str, noise: Sequence[str]
) -> tuple[str, str] | None:
    lines = [line for line in noise if line.startswith(("sudo", "Sorry", user, "I'm sorry"))]
    said = f" ({lines[-1]})" if lines else ""
    text = "\n".join(noise)
    if any(part in text for part in _NOT_ALLOWED):
        return (
            f"{user} may not use sudo on {name} to run python3 as root{said}",
            f"Add a sudoers rule for {user} there, or log in as root",
        )
    if word == "sudo-denied":
        return (
            f"sudo on {name} refused the password of {user}",
            "Check `ssh.become_password`; one attempt was made, and nothing else was sent",
        )
    if become is Become.FREE and any(part in text.lower() for part in _WANTS_PASSWORD):
        return (
            f"{user} may not use sudo without a password on {name}",
            "Give `ssh.become_password`, or add a NOPASSWD rule for this user",
        )
    if lines:
        return f"sudo on {name} did not run python3 for {user}{said}", "Try it there: sudo -v"
    return None
