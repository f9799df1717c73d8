"""The agent on this machine, in a subprocess: for a host that is the controller itself.

    start(endpoint, job, cancel, bootstrap) -> Conversation (a Channel)

Root runs it at once, everybody else by sudo, with the same words as over SSH. Raises HostUnreachable when it does not
start.
"""

from __future__ import annotations

import dataclasses
import getpass
import os
from typing import Any

from mailprov.transport.cancellation import CancelToken
from mailprov.transport.conversation import Conversation
from mailprov.transport.endpoint import Endpoint
from mailprov.transport.process import spawn
from mailprov.transport.start.launch import launch


def start(
    endpoint: Endpoint, job: dict[str, Any], *, cancel: CancelToken | None = None, bootstrap: bool = False
) -> Conversation:
    """Run the agent here, as root. The user of the inventory plays no part: it is whoever runs mailprov."""
    here = dataclasses.replace(endpoint, user=getpass.getuser())
    return launch(
        here,
        job,
        lambda command: spawn(endpoint.name, ["/bin/sh", "-c", command]),
        cancel=cancel or CancelToken(),
        root=os.geteuid() == 0,
        bootstrap=bootstrap,
    )
