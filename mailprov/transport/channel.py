"""The one thing every transport gives: a running agent to talk to.

A transport starts the agent (`start(...) -> Channel`) and raises HostUnreachable with one clear sentence when
it cannot. After that the conversation of `wire.messages` is the same over ssh and in a local subprocess.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class Channel(Protocol):
    def messages(self) -> Iterator[dict[str, Any]]:
        """The agent's messages until `end` or the end of the stream.

        Raises HostFailed when the stream ends without `end`, or nothing (not even a beat) came for 60 s.
        """

    def send(self, message: dict[str, Any]) -> None:
        """One control message. A lost connection is not raised here: `messages` reports it."""

    def noise(self) -> tuple[str, ...]:
        """What came on stdout without the tag, and on stderr: last lines, for error texts and --verbose."""

    def close(self) -> None:
        """End the connection; never raises; may be called twice and from another thread."""
