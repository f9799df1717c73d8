"""What the controller wants of this run: `job` of wire.messages, as one typed object that every part reads.

Job.of(raw) -> Job      from the JSON object; fields that it has not are as below, others are passed over
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Sequence


class Job(NamedTuple):
    """The fields are told in wire.messages."""

    tag: str
    mode: str
    owner: str
    run: str = ""
    root: str = ""
    packages: Sequence[str] = ()
    lock_timeout: float = 0
    accept_drift: bool = False
    take_over_host: bool = False
    to: str = ""
    zones: Sequence[Dict[str, Any]] = ()
    mail_root: str = ""
    accounts: Sequence[str] = ()
    logins: Sequence[str] = ()
    address: str = ""
    users: str = ""
    login: str = ""
    keys: Mapping[str, Any] = {}
    follow: float = 0
    senders: Sequence[str] = ()
    recipients: Sequence[str] = ()
    seconds: float = 0
    queue: Mapping[str, Any] = {}
    action: str = ""
    ids: Sequence[str] = ()
    addresses: Sequence[str] = ()
    own: Sequence[str] = ()
    servers: Sequence[Dict[str, Any]] = ()

    @classmethod
    def of(cls, raw: Dict[str, Any]) -> "Job":
        return cls(**{name: raw[name] for name in cls._fields if name in raw})
