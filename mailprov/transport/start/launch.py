"""From a way to run one command on a host to a running agent: the same over every transport.

    launch(endpoint, job, run, cancel, bootstrap) -> Conversation

`run(command line) -> Pipe` executes it as the login user. Raises HostUnreachable with one sentence: sudo, no python3,
a shell that runs nothing. With `bootstrap`, a host without python3 gets it from apt-get, by one more exec.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailprov.errors import HostUnreachable
from mailprov.i18n import _
from mailprov.transport.cancellation import CancelToken
from mailprov.transport.conversation import SILENCE, Conversation, Pipe, is_ready
from mailprov.transport.endpoint import Endpoint
from mailprov.transport.start import start_errors
from mailprov.transport.start.sudo import Become, bootstrap_command, remote_command
from mailprov.wire.bundle import start_payload

Run = Callable[[str], Pipe]
Explain = Callable[[Endpoint, int | None, tuple[str, ...]], HostUnreachable | None]
# Octets. PAM takes answers shorter than 512 (PAM_MAX_RESP_SIZE). Of a line longer than 1023 sudo would take the rest
# for the next attempt, and for the one after that: three wrong passwords, which may lock the account.
LONGEST = 511
INSTALLING = 900.0  # seconds for apt-get on a slow host, the wait for its lock included


def launch(
    endpoint: Endpoint,
    job: dict[str, Any],
    run: Run,
    *,
    cancel: CancelToken,
    root: bool = False,
    bootstrap: bool = False,
    explain: Explain | None = None,
) -> Conversation:
    """Start the agent with `job` (see `wire.messages`) as root; it runs on return. `root`: the user is root already.

    `explain` gives the sentence for a failure of the way itself, where only the command's output tells it.
    """
    attempt = _Attempt(endpoint, job, run, cancel, root or endpoint.user == "root", explain)
    conversation, word = attempt.start(remote_command(attempt.become), SILENCE)
    if word in _NO_PYTHON and bootstrap:
        conversation.close()
        conversation, word = attempt.start(bootstrap_command(attempt.become), INSTALLING)
    if is_ready(word):
        return conversation
    try:
        raise attempt.refused(conversation, word)
    finally:
        conversation.close()


_NO_PYTHON = ("no-python", "small-python")


class _Attempt:
    def __init__(
        self,
        endpoint: Endpoint,
        job: dict[str, Any],
        run: Run,
        cancel: CancelToken,
        root: bool,
        explain: Explain | None,
    ) -> None:
        password = endpoint.become_password
        self.endpoint, self.job, self.run, self.cancel, self.explain = endpoint, job, run, cancel, explain
        self.become = Become.NOT if root else Become.PASSWORD if password else Become.FREE
        self.secret = password.reveal() if password and self.become is Become.PASSWORD else ""
        if "\n" in self.secret or "\r" in self.secret:
            raise HostUnreachable(
                endpoint.name, _("`ssh.become_password` holds a line break"), _("Give it without one")
            )
        if len(self.secret.encode()) > LONGEST:
            raise HostUnreachable(
                endpoint.name,
                _("`ssh.become_password` is longer than {most} bytes, which is more than sudo reads").format(
                    most=LONGEST
                ),
                _("Look at what it refers to"),
            )

    def start(self, command: str, patience: float) -> tuple[Conversation, str]:
        endpoint, secret = self.endpoint, self.secret
        hidden = (secret, endpoint.password.reveal() if endpoint.password else "")
        conversation = Conversation(
            endpoint.name, self.run(command), self.job["tag"], hidden, self.job.get("lock_timeout", 0.0)
        )
        try:
            with self.cancel.closing(endpoint.name, conversation.close):
                if secret:
                    conversation.write(secret.encode() + b"\n")
                else:
                    conversation.write(start_payload(self.job))  # at once: no round trip is spent on waiting
                word = conversation.await_ready(patience)
                if is_ready(word) and secret:
                    conversation.write(start_payload(self.job))
                if not is_ready(word):
                    conversation.drain(1.0)
                    if any("No module named" in line for line in conversation.noise()):
                        word = "small-python"
        except BaseException:
            conversation.close()
            raise
        return conversation, word

    def refused(self, conversation: Conversation, word: str) -> HostUnreachable:
        status = None if word == "silent" else conversation.exit_status()
        noise = conversation.noise()
        known = self.explain(self.endpoint, status, noise) if self.explain and word == "over" else None
        return known or start_errors.explain(self.endpoint, self.become, word, status, noise)
