"""A real BIND on a loopback port, with one zone per test, and TCP servers that misbehave."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.unit.dns.named_server import Named, configuration, free_port, serves, stop


@pytest.fixture(scope="session")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Named]:
    program = shutil.which("named") or shutil.which("/usr/sbin/named")
    if not program:
        pytest.skip(
            "BIND's named is not installed (Debian package bind9): DNS updates are not tried on a real server"
        )
    folder = tmp_path_factory.mktemp("named")
    for _ in range(3):  # another process may take the port before named does
        port = free_port()
        (folder / "named.conf").write_text(configuration(folder, port))
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [program, "-g", "-n", "1", "-c", str(folder / "named.conf")], stdout=log, stderr=log
            )
        if serves(port, process):
            break
        stop(process)
    else:
        pytest.fail("named does not start: " + (folder / "log").read_text()[-2000:])
    yield Named(port)
    stop(process)


@pytest.fixture
def tcp_server() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """Start a server that hands each connection to the given function; gives its port."""
    listeners: list[socket.socket] = []

    def start(serve: Callable[[socket.socket], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def loop() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        serve(connection)
                    except OSError:
                        pass

        threading.Thread(target=loop, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
