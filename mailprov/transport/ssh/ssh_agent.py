"""The ssh agent that an endpoint uses: SSH_AUTH_SOCK, another socket (IdentityAgent), or none.

    held(agent) -> dict[bytes, paramiko.AgentKey]     its keys by their wire format, certificates among them
    open_agent(endpoint) -> AgentSSH | None           raises OSError or paramiko.SSHException when it does not answer

A connection to the agent is used by one thread.
"""

from __future__ import annotations

import os
import socket

from paramiko.agent import AgentKey, AgentSSH
from paramiko.pkey import PublicBlob

from mailprov.transport.endpoint import Endpoint
from mailprov.transport.ssh.certificates import CERTIFICATE


class Agent(AgentSSH):
    """As paramiko.Agent, for any socket."""

    def __init__(self, path: str) -> None:
        super().__init__()
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            self._connect(connection)  # type: ignore[attr-defined]
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        self._close()  # type: ignore[attr-defined]


def open_agent(endpoint: Endpoint) -> Agent | None:
    """None where there is none to ask."""
    path = os.environ.get("SSH_AUTH_SOCK", "") if endpoint.agent is None else endpoint.agent
    if path in ("", "none"):
        return None
    try:
        return Agent(path)
    except (FileNotFoundError, ConnectionRefusedError):
        if endpoint.agent is None:
            return None  # a variable that an agent of the past has left
        raise


def held(agent: Agent) -> dict[bytes, AgentKey]:
    """By the blob the agent knows each by: a certificate's is its own, not its key's."""
    found = {}
    for key in agent.get_keys():
        if key.name.endswith(CERTIFICATE):
            # paramiko would offer the certificate's name with the plain key.
            key.public_blob = PublicBlob(key.name, key.blob)  # type: ignore[assignment]
        found[key.blob] = key
    return found
