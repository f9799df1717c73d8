"""A name server that keeps answers as long as their TTL says, and asks another one for the rest: what the resolver of a
mail server does. Runs on a host of the lab, whose own resolver keeps nothing: `python3 caching_resolver.py ADDRESS`.
"""

from __future__ import annotations

import socket
import struct
import sys
import time


def skip_name(data: bytes, at: int) -> int:
    while data[at]:
        if data[at] & 0xC0:
            return at + 2
        at += 1 + data[at]
    return at + 1


def lifetime(data: bytes) -> int:
    """The lowest TTL of the answer; where there is none, 1 s."""
    count = struct.unpack("!H", data[6:8])[0]
    at = skip_name(data, 12) + 4
    ttls = []
    for _ in range(count):
        at = skip_name(data, at)
        ttl, size = struct.unpack("!4xIH", data[at : at + 10])
        ttls.append(ttl)
        at += 10 + size
    return min(ttls, default=1)


def main(server: str) -> None:
    kept: dict[bytes, tuple[float, bytes]] = {}
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 53))
    while True:
        question, client = listener.recvfrom(4096)
        until, answer = kept.get(question[2:], (0.0, b""))
        if until <= time.monotonic():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upstream:
                upstream.settimeout(10)
                upstream.sendto(question, (server, 53))
                try:
                    answer = upstream.recv(4096)
                except OSError:
                    continue
            kept[question[2:]] = (time.monotonic() + lifetime(answer), answer)
        listener.sendto(question[:2] + answer[2:], client)


if __name__ == "__main__":
    main(sys.argv[1])
