"""Start the agent on one host as a command would, for tests of the transports.

start(host, job) -> Channel
endpoint(host), scan(host)      what ssh_config and inventory make of it; the keys it shows
"""

from __future__ import annotations

from typing import Any

from mailprov.model.inventory import Host
from mailprov.transport.channel import Channel
from mailprov.transport.connections import Connections
from mailprov.transport.endpoint import Endpoint
from mailprov.transport.ssh.hostkeys import Offered


def start(
    host: Host, job: dict[str, Any], *, connect_timeout: float = 10.0, bootstrap: bool = False
) -> Channel:
    """One host that shares nothing: what its Connections hold goes with the channel."""
    connections = Connections([host], connect_timeout=connect_timeout, bootstrap=bootstrap)
    try:
        channel = connections.start(host, job)
    except BaseException:
        connections.close()
        raise
    only_channel = channel.close

    def close() -> None:
        only_channel()
        connections.close()

    channel.close = close  # type: ignore[method-assign]
    return channel


def endpoint(host: Host) -> Endpoint:
    return Connections().endpoint(host)


def scan(host: Host) -> list[Offered]:
    connections = Connections()
    return connections.scan(connections.endpoint(host))
