"""Lines, noise, silence and the end of a conversation, over a pipe that gives what the test says."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from mailprov.errors import HostFailed
from mailprov.transport import conversation
from mailprov.transport.conversation import Conversation, is_ready

TAG = "00aa11bb22cc33dd"


class Script:
    """A Pipe that plays back pieces of (stdout, stderr), then ends, or is silent."""

    def __init__(self, *pieces: tuple[bytes, bytes], status: int | None = None, silent: bool = False) -> None:
        self.pieces = list(pieces)
        self.status = status
        self.silent = silent
        self.written = b""
        self.closed = 0

    def read(self, timeout: float) -> tuple[bytes, bytes] | None:
        if self.pieces:
            return self.pieces.pop(0)
        return (b"", b"") if self.silent else None

    def write(self, data: bytes) -> None:
        if self.closed:
            raise BrokenPipeError
        self.written += data

    def exit_status(self) -> int | None:
        return self.status

    def close(self) -> None:
        self.closed += 1


def said(body: str) -> bytes:
    return f"{TAG} {body}\n".encode()


def talk(pipe: Script, *hidden: str) -> Conversation:
    return Conversation("mx1", pipe, TAG, hidden)


END = said('{"t": "end", "status": "ok"}')


def test_messages_in_pieces_and_behind_noise() -> None:
    whole = b"motd\n" + said('{"t": "hello"}') + b"no newline " + said('{"t": "beat"}') + END
    pipe = Script(*((whole[at : at + 3], b"") for at in range(0, len(whole), 3)))
    channel = talk(pipe)
    assert [message["t"] for message in channel.messages()] == ["hello", "beat", "end"]
    assert channel.noise() == ("motd",)


def test_noise_of_both_streams_is_kept_bounded_and_without_secrets() -> None:
    lines = b"".join(b"line %d\n" % number for number in range(60))
    pipe = Script((lines, b""), (b"", b"you typed s3cret!\n" + b"x" * 9000), (END, b"\n"))
    channel = talk(pipe, "s3cret", "")
    list(channel.messages())
    assert len(channel.noise()) == 50
    assert channel.noise()[-2] == "you typed ***!"
    assert len(channel.noise()[-1]) == 400


@pytest.mark.parametrize(
    ("out", "word"),
    [
        (b"hi\nMAILPROV1 ready\n", "ready"),
        (b"hi MAILPROV1 ready\n", "ready"),
        (b"MAILPROV1 no-python\n", "no-python"),
        (b"MAILPROV1 sudo-denied\n", "sudo-denied"),
        (b"MAILPROV1 ended 1\n", "ended 1"),
        (b"MAILPROV1 something\n", "over"),
        (b"", "over"),
    ],
)
def test_how_a_start_went(out: bytes, word: str) -> None:
    channel = talk(Script((out, b"")))
    assert channel.await_ready(5) == word
    assert is_ready(word) == (word == "ready")
    assert not any("MAILPROV1 ready" in line for line in channel.noise())


def test_a_start_that_says_nothing_is_silent() -> None:
    assert talk(Script(silent=True)).await_ready(0.05) == "silent"


def test_silence_is_a_lost_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "SILENCE", 0.05)
    channel = talk(Script((said('{"t": "hello"}'), b""), silent=True))
    messages = channel.messages()
    assert next(messages)["t"] == "hello"
    with pytest.raises(HostFailed, match="nothing was heard"):
        next(messages)


@pytest.mark.parametrize(
    ("status", "words"), [(None, "the connection was lost"), (1, "the agent stopped .*status 1 .Boom.")]
)
def test_an_end_without_end_is_told(status: int | None, words: str) -> None:
    channel = talk(Script((said('{"t": "hello"}'), b"Boom"), status=status))
    with pytest.raises(HostFailed, match=words):
        list(channel.messages())


def test_an_ended_sudo_ends_the_stream() -> None:
    channel = talk(Script((b"MAILPROV1 ready\n" + said('{"t": "hello"}') + b"MAILPROV1 ended 137\n", b"")))
    assert channel.await_ready(1) == "ready"
    with pytest.raises(HostFailed):
        list(channel.messages())


def test_send_is_whole_from_many_threads_and_silent_when_lost() -> None:
    pipe = Script()
    channel = talk(pipe)
    message: dict[str, Any] = {"t": "desired", "state": "x" * 1000}
    threads = [threading.Thread(target=channel.send, args=(message,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(pipe.written.splitlines())) == 1
    channel.close()
    channel.close()
    assert pipe.closed == 1
    channel.send({"t": "cancel"})


class Flood:
    """A Pipe that gives the same piece for ever; `clock` goes on by `seconds` with each."""

    def __init__(
        self, piece: bytes, *, first: bytes = b"", on_stderr: bool = False, seconds: float = 0.0
    ) -> None:
        self.piece, self.first, self.on_stderr, self.seconds = piece, first, on_stderr, seconds
        self.now, self.given = 1000.0, 0

    def read(self, timeout: float) -> tuple[bytes, bytes] | None:
        data, self.first = self.first or self.piece, b""
        self.now += self.seconds
        self.given += len(data)
        assert self.given < 2**30, "nobody stops it"
        return (b"", data) if self.on_stderr else (data, b"")

    def write(self, data: bytes) -> None: ...

    def exit_status(self) -> int | None:
        return None

    def close(self) -> None: ...


PARTS = b'{"t": "notice", "text": [' + b"[]," * 60_000 + b"[]]}"


@pytest.mark.parametrize(
    ("pipe", "words"),
    [
        (lambda: Flood(b"x" * 2**20), "a line of more than 2 MiB"),
        (
            lambda: Flood(b"x" * 2**20, first=TAG.encode() + b' {"t": "plan", "x": "'),
            "a line of more than 2 MiB",
        ),
        (lambda: Flood(b"y" * 2**20, on_stderr=True), "more than 5 MiB"),
        (lambda: Flood((b"noise " * 20 + b"\n") * 2**13), "more than 5 MiB"),
        (lambda: Flood(said('{"t": "beat", "x": "%s"}' % ("x" * 200)) * 2**12), "more than 5 MiB"),
        (lambda: Flood(PARTS + b"\n", first=TAG.encode() + b" "), "more than 100000 parts"),
    ],
    ids=["line", "message", "stderr", "noise", "beats", "parts"],
)
def test_a_host_that_sends_without_end_is_stopped_and_takes_no_memory(
    pipe: Callable[[], Flood], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """400 MB without a newline once took 1.2 GB here: now no more than a few lines of the allowed length."""
    for name, limit in (("LINE", 2 * 2**20), ("TOTAL", 5 * 2**20), ("PARTS", 100_000)):
        assert getattr(conversation, name) > limit
        monkeypatch.setattr(conversation, name, limit)
    source = pipe()
    channel = talk(source)  # type: ignore[arg-type]
    gc.collect()
    tracemalloc.start()
    try:
        with pytest.raises(HostFailed, match=words):
            for _ in channel.messages():
                pass
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * conversation.LINE, f"{most >> 20} MiB for {source.given >> 20} MiB that came"
    assert not channel._out
    assert not channel._err


def test_with_the_limits_as_they_are_an_endless_line_takes_no_more_than_a_tenth_of_what_came() -> None:
    source = Flood(b"x" * 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(HostFailed, match="a line of more than 32 MiB"):
            list(talk(source).messages())  # type: ignore[arg-type]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 80 * 2**20, f"{most >> 20} MiB"


def test_too_much_before_the_agent_runs_is_told_as_well() -> None:
    with pytest.raises(HostFailed, match="a line of more than 32 MiB"):
        talk(Flood(b"x" * 2**20)).await_ready(60)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("piece", "patience", "words", "hours"),
    [
        (said('{"t": "beat"}'), 0.0, "has sent nothing else for 2.0 hours", 2),
        (b"noise\n", 0.0, "has sent nothing else for 2.0 hours", 2),
        (said('{"t": "beat"}'), 3600.0, "has sent nothing else for 3.0 hours", 3),
        (said('{"t": "progress", "text": "soon"}'), 0.0, "did not end within 24 hours", 24),
    ],
    ids=["beats", "noise", "waiting for a lock", "progress"],
)
def test_a_host_that_only_lives_is_not_listened_to_for_ever(
    piece: bytes, patience: float, words: str, hours: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Flood(piece, seconds=5.0)
    monkeypatch.setattr(conversation.time, "monotonic", lambda: source.now)
    channel = Conversation("mx1", source, TAG, (), patience)  # type: ignore[arg-type]
    began = source.now
    with pytest.raises(HostFailed, match=words):
        for _ in channel.messages():
            pass
    assert abs(source.now - began - hours * 3600) < 60


def test_honest_long_work_is_heard_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """apt-get for an hour without a word but beats, 5,000 accounts, and somebody who decides the next morning."""
    beat = said('{"t": "beat"}')
    hour = beat * 720
    pieces = [hour, said('{"t": "progress", "text": "unpacking"}'), hour, said('{"t": "plan"}'), hour * 12]
    pieces += [said('{"t": "applied", "text": "' + "x" * 400 + '"}') * 5000, hour, END]
    source = Script(*((line + b"\n", b"") for piece in pieces for line in piece.splitlines()))
    now = [0.0]
    read = source.read

    def slow(timeout: float) -> tuple[bytes, bytes] | None:
        piece = read(timeout)
        now[0] += 5.0 if piece and b"beat" in piece[0] and not away else 0.0
        return piece

    away = False
    monkeypatch.setattr(source, "read", slow)
    monkeypatch.setattr(conversation.time, "monotonic", lambda: now[0])
    count = 0
    for message in talk(source).messages():
        count += message["t"] == "applied"
        if message["t"] == "plan":
            now[0] += 12 * 3600.0  # the beats of that time lie in the pipe, and are read at once
            away = True
        elif message["t"] == "applied":
            away = False
    assert count == 5000


def test_a_message_as_long_as_honest_ones_get_is_taken() -> None:
    body = b'{"t": "plan", "changes": "' + b"x" * (30 * 2**20) + b'"}'
    whole = TAG.encode() + b" " + body + b"\n" + END
    pieces = ((whole[at : at + 2**20], b"") for at in range(0, len(whole), 2**20))
    assert [message["t"] for message in talk(Script(*pieces)).messages()] == ["plan", "end"]


@pytest.mark.parametrize("body", ["[" * 100_000, '{"t":' * 50_000, "9" * 100_000, '{"t": "end"', "NaN"])
def test_what_is_no_message_is_noise(body: str) -> None:
    channel = talk(Script((said(body) + END, b"")))
    assert [message["t"] for message in channel.messages()] == ["end"]
