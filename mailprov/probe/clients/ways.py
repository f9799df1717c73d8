"""The way out: how the clients get to servers, from this machine or through another one.

    Way           .connect(address, port, seconds) -> (socket, our address)     raises OSError as connect(2)
                  .exchange(query, address, port, seconds, tcp) -> reply        raises DNSException, OSError, EOFError
                  .source(address) -> str     which address of ours is there; "" without a route
                  .declare(addresses, ports, direct)     what may be connected to
                  .resolver() -> Resolver     the one that this place has; raises DNSException
    HERE          this machine
    question_through(way, …)    a Resolver whose questions go that way

Whatever a client does on the network goes through one of these. What is one other machine's is in run/relay.py.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

import dns.exception
import dns.message
import dns.nameserver
import dns.query
import dns.resolver

from mailprov.transport.source import source_address


class Way(ABC):
    """`name`: of the host that is looked from; empty for this machine."""

    name = ""

    @abstractmethod
    def connect(self, address: str, port: int, seconds: float) -> tuple[socket.socket, str]: ...

    @abstractmethod
    def exchange(
        self, query: dns.message.Message, address: str, port: int, seconds: float, *, tcp: bool = False
    ) -> dns.message.Message:
        """Not `tcp`: over UDP, and over TCP where the answer does not fit."""

    @abstractmethod
    def source(self, address: str) -> str: ...

    @abstractmethod
    def resolver(self) -> dns.resolver.Resolver: ...

    def declare(self, addresses: Collection[str], ports: Collection[int], direct: Collection[str]) -> None:
        """Once, before the first connection: where any may lead. `direct` are addresses of the machine itself, which
        sees itself as no stranger does: they are looked at from here. This machine declares nothing.
        """
        return None

    def passes_by(self, address: str) -> bool:
        """Whether this address is looked at from this machine all the same."""
        return not self.name


class _Here(Way):
    def connect(self, address: str, port: int, seconds: float) -> tuple[socket.socket, str]:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(seconds)
        try:
            sock.connect((address, port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            sock.close()
            raise
        return sock, str(sock.getsockname()[0])

    def exchange(
        self, query: dns.message.Message, address: str, port: int, seconds: float, *, tcp: bool = False
    ) -> dns.message.Message:
        if tcp:
            return dns.query.tcp(query, address, timeout=seconds, port=port)
        return dns.query.udp_with_fallback(query, address, timeout=seconds, port=port)[0]

    def source(self, address: str) -> str:
        return source_address(address)

    def resolver(self) -> dns.resolver.Resolver:
        return dns.resolver.Resolver()


HERE: Way = _Here()


class _Through(dns.nameserver.Nameserver):
    """A resolver somewhere else: str() of it is its address."""

    def __init__(self, way: Way, address: str, port: int) -> None:
        self._way, self._address, self._port = way, address, port

    def __str__(self) -> str:
        return self._address

    def kind(self) -> str:
        return "Do53"

    def is_always_max_size(self) -> bool:
        return False

    def answer_nameserver(self) -> str:
        return self._address

    def answer_port(self) -> int:
        return self._port

    def query(
        self,
        request: dns.message.QueryMessage,
        timeout: float,
        source: str | None,
        source_port: int,
        max_size: bool,
        one_rr_per_rrset: bool = False,
        ignore_trailing: bool = False,
    ) -> dns.message.Message:
        return self._way.exchange(request, self._address, self._port, timeout, tcp=max_size)

    async def async_query(self, *args: Any, **kwargs: Any) -> dns.message.Message:
        raise NotImplementedError  # nobody here is asynchronous


def question_through(way: Way, addresses: Collection[str], port: int = 53) -> dns.resolver.Resolver:
    resolver = dns.resolver.Resolver(configure=False)
    if not addresses:
        raise dns.resolver.NoResolverConfiguration
    resolver.nameservers = [_Through(way, address, port) for address in addresses]
    resolver.port = port
    return resolver
