"""What a host's web server may have to stand, as a program of its own, so that it does not slow down who looks on.

    python -m tests.clients.flood requests ADDRESS NAME COUNT    that many whole requests at once, each on a connection
                                                                 of its own, half of them with TLS; every fourth a POST
    python -m tests.clients.flood slow ADDRESS NAME COUNT        that many connections that never get to the end of
                                                                 their request, until its standard input ends

The first prints a JSON object: how many got which status ("200", or "" where the connection ended without one), and the
seconds. The second prints a line when all are open.
"""

from __future__ import annotations

import asyncio
import collections
import json
import resource
import ssl
import sys
import time

PLAIN = "/mail/config-v1.1.xml"
POSTED = "/autodiscover/autodiscover.xml"
BODY = "<Autodiscover/>"
AT_ONCE = 1500  # connections: with more, the machine that asks is too slow to ask before it is hung up on
UNVERIFIED = ssl._create_unverified_context()  # what is counted is what is answered


async def request(address: str, name: str, number: int, room: asyncio.Semaphore) -> str:
    secure = UNVERIFIED if number % 2 else None
    host = f"autodiscover.{name}" if number % 4 == 3 else f"autoconfig.{name}"
    text = f"GET {PLAIN} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    if number % 4 == 3:
        head = f"POST {POSTED} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        text = f"{head}Content-Length: {len(BODY)}\r\n\r\n{BODY}"
    async with room:
        writer = None
        try:
            reader, writer = await asyncio.open_connection(
                address, 443 if secure else 80, ssl=secure, server_hostname=host if secure else None
            )
            writer.write(text.encode())
            answer = await asyncio.wait_for(reader.read(-1), 300)
            return answer.partition(b"\r\n")[0].decode().split(" ")[1] if answer else "nothing"
        except (OSError, asyncio.TimeoutError) as error:
            return type(error).__name__
        finally:
            if writer is not None:
                writer.transport.abort()


async def requests(address: str, name: str, count: int) -> None:
    room, began = asyncio.Semaphore(AT_ONCE), time.monotonic()
    statuses = collections.Counter(
        await asyncio.gather(*(request(address, name, number, room) for number in range(count)))
    )
    print(json.dumps({"statuses": statuses, "seconds": round(time.monotonic() - began, 2)}))


async def never_ending(address: str, name: str, number: int, opened: list[asyncio.StreamWriter]) -> None:
    """Half of them stop in their headers, half within the TLS handshake; what the server closes is opened again."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(address, (80, 443)[number % 2])
            writer.write(
                hello(name) if number % 2 else f"GET / HTTP/1.1\r\nHost: autoconfig.{name}\r\nX: ".encode()
            )
            opened.append(writer)
            while await reader.read(4096):
                pass
            opened.remove(writer)
            writer.transport.abort()
        except OSError:
            await asyncio.sleep(0.1)


def hello(name: str) -> bytes:
    """The first message of a handshake."""
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl._create_unverified_context().wrap_bio(coming, going, server_hostname=f"autoconfig.{name}")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return going.read()


async def slow(address: str, name: str, count: int) -> None:
    opened: list[asyncio.StreamWriter] = []
    tasks = [asyncio.ensure_future(never_ending(address, name, number, opened)) for number in range(count)]
    while len(opened) < count * 9 // 10:
        await asyncio.sleep(0.1)
    print("open", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()


def main() -> None:
    how, address, name, count = sys.argv[1:]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run((requests if how == "requests" else slow)(address, name, int(count)))


if __name__ == "__main__":
    main()
