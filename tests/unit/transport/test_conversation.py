"""Lines, noise, silence and the end of a conversation, over a pipe that gives what the test says."""

from __future__ import annotations

import threading
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
