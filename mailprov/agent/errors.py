"""How the agent stops: two exceptions, both end in one `end` message. What they say are sentences (sentences.py).

AgentError        the work cannot or must not go on; becomes status "failed": sentence, advice, output
joined      one AgentError of several
Cancelled   the controller asked for it or is lost; becomes status "cancelled"
"""

from __future__ import annotations

from typing import Sequence

from mailprov.agent import sentences


class AgentError(Exception):
    """`what` was seen, `advice` on what to do, `output`: last lines of a failing command. No secrets."""

    def __init__(self, what: str, advice: str = "", output: Sequence[str] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice
        self.output = list(output)


def joined(failures: Sequence[AgentError]) -> AgentError:
    """All that was seen, in one sentence, with the first one's advice."""
    first = failures[0]
    first.what = sentences.joined((one.what for one in failures), "; ")
    first.output = [line for one in failures for line in one.output]
    return first


class Cancelled(Exception):
    """`why`: interrupted by the controller, its connection ended, or a signal."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
