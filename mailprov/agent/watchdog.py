"""A second process that does nothing but outlive the agent: what a kill leaves behind is not left to the next run.

    watch(rescue)     returns in the child, which is the agent; the parent stays, and calls rescue(signal) if the
                      agent is killed (by the kernel for want of memory, by an administrator in a hurry)

Between its files changing places and its daemons reading them a host must not stay: Postfix would accept addresses by
the new tables and deliver by the old ones. Costs one fork, no memory to speak of, and no message.
"""

from __future__ import annotations

import os
import signal
from typing import Callable

_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def watch(rescue: Callable[[int], None]) -> None:
    """Must be called before there are threads. Never returns in the parent."""
    agent = os.fork()
    if agent == 0:
        return
    for number in _PASSED_ON:  # sudo and systemd know only the process that they started
        signal.signal(number, lambda number, _: _pass_on(agent, number))
    _, status = os.waitpid(agent, 0)
    if os.WIFSIGNALED(status):
        rescue(os.WTERMSIG(status))
        os._exit(0)
    os._exit(os.WEXITSTATUS(status))


def _pass_on(agent: int, number: int) -> None:
    try:
        os.kill(agent, number)
    except ProcessLookupError:
        pass
