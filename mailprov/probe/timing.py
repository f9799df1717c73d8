"""How long things may take: one table of limits for all probes of a run."""

from __future__ import annotations

from mailprov.model.values import dataclass


@dataclass(frozen=True)
class Timing:
    """How long things may take, in seconds."""

    connect: float = 10.0
    # One probe. More than the 35 s that a server with postscreen and a slow greeting may take to say its
    # first word.
    probe: float = 60.0
    # Wrong passwords: Dovecot's penalty grows to 17 s for each try from our address.
    wrong_password: float = 150.0
    delivery: float = 90.0  # from the acceptance of a message to its arrival
    visible: float = 10.0  # until a second session sees what the first one did
    warning: float = 5.0  # until a warning of a mailbox that is almost full is there
    dns: float = 5.0  # one question
    transfer: float = 20.0  # from a change of a zone until its secondaries have it
    poll: float = 0.3
    overall: float = 900.0  # the whole run; 10 s more for each host
