"""What Dovecot runs to send what users' filters send: redirected mail to its own listener, the rest to sendmail, from
the user and nobody else.
"""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mailprov.components.dovecot import sieve

REDIRECTED = b"X-Sieve: Pigeonhole\r\nX-Sieve-Redirected-From: eva@alpha.test\r\n"
OWN = b"X-Sieve: Pigeonhole\r\nSubject: away\r\n"
USER = "eva@alpha.test"
LOGINS = f"{USER} {USER}\nsales@alpha.test {USER}\nboss@alpha.test boss@alpha.test\n"


class Listener:
    """Takes one message over SMTP; `refuses` is the command that it answers with 451."""

    def __init__(self, refuses: str) -> None:
        self._refuses = refuses
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.said: list[bytes] = []
        self.data = b""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return  # nobody came
        with connection, connection.makefile("rwb", buffering=0) as stream:
            stream.write(b"220 here\r\n")
            while (line := stream.readline()) and line != b"QUIT\r\n":
                self.said.append(line.rstrip())
                verb = line.split()[0].decode().upper()
                if verb == self._refuses:
                    stream.write(b"451 not now\r\n")
                    continue
                if verb == "EHLO":
                    stream.write(b"250-here\r\n250 8BITMIME\r\n")
                    continue
                stream.write(b"354 go on\r\n" if verb == "DATA" else b"250 good\r\n")
                while verb == "DATA" and (line := stream.readline()) != b".\r\n":
                    self.data += line
                if verb == "DATA":
                    stream.write(b"451 not now\r\n" if self._refuses == "." else b"250 good\r\n")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() does not
        self._socket.close()
        self._thread.join(10)


def sent(
    folder: Path, text: bytes, sender: str, refuses: str = "", user: str = USER
) -> tuple[int, Listener, bytes]:
    """Exit code, the listener, and what sendmail was given."""
    listener = Listener(refuses)
    sendmail, program = folder / "sendmail", folder / "program"
    sendmail.write_text(f'#!/bin/sh\n{{ echo "$@"; cat; }} >{folder}/given\nexit 3\n')
    sendmail.chmod(0o755)
    (folder / "logins").write_text(LOGINS)
    (file,) = sieve.files(False, str(folder), "+")
    source = re.sub("(?m)^PORT = .*$", f"PORT = {listener.port}", file.content)
    program.write_text(source.replace('"/usr/sbin/sendmail"', repr(str(sendmail))))
    words = [sys.executable, "-IS", str(program), user, "-i", "-f", sender, "--", "far@beta.test"]
    done = subprocess.run(words, input=text, capture_output=True, timeout=300, check=False)
    listener.close()
    given = folder / "given"
    return done.returncode, listener, given.read_bytes() if given.exists() else b""


@pytest.mark.parametrize("sender", ["eva@alpha.test", "<>"])
def test_redirected_mail_goes_to_the_listener_line_by_line(tmp_path: Path, sender: str) -> None:
    body = b"\r\n.\r\n..two\nthree\xff\r\n" + b"x" * 2000 + b"\nlast"
    code, listener, given = sent(tmp_path, REDIRECTED + b"From: boss@alpha.test\r\n" + body, sender)

    assert (code, given) == (0, b"")
    wanted = [f"mail FROM:<{sender.strip('<>')}> BODY=8BITMIME".encode(), b"rcpt TO:<far@beta.test>", b"DATA"]
    assert listener.said[1:] == wanted
    stuffed = b"\r\n..\r\n...two\r\nthree\xff\r\n" + b"x" * 2000 + b"\r\nlast\r\n"
    assert listener.data == REDIRECTED + b"From: boss@alpha.test\r\n" + stuffed


def test_what_a_filter_writes_itself_goes_to_sendmail(tmp_path: Path) -> None:
    quoted = OWN + b"From: Eva <eva@alpha.test>\r\n\r\nX-Sieve-Redirected-From: in the text\r\n"
    code, listener, given = sent(tmp_path, quoted, "<>")

    assert code == 3, "the exit code is sendmail's"
    assert given == b"-i -f <> -- far@beta.test\n" + quoted
    assert listener.said == []


ME = b"From: <eva@alpha.test>\r\n"


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        (b"From: Us <sales+x@ALPHA.test>\r\nReply-To: boss@alpha.test\r\n", None),
        (b"From: boss@alpha.test\r\n", ME),
        (b"From: The Boss\r\n <boss@alpha.test>\r\nTo: x@y.test\r\n", ME + b"To: x@y.test\r\n"),
        (b"From: eva@alpha.test, boss@alpha.test\r\n", ME),
        (b"From: eva@alpha.test <boss@alpha.test>\r\n", ME),
        (b'From: "<eva@alpha.test>" <boss@alpha.test>\r\n', ME),
        (b"From: eva@alpha.test\r\nFROM : boss@alpha.test\r\n", ME),
        (b"From: eva@alpha.test\r\nFrom: sales@alpha.test\r\n", ME),
        (b"To: x@y.test\r\n", ME + b"To: x@y.test\r\n"),
        (b"From:\r\n", ME),
        (b"From: eva@alpha.test\r\n" + b"Sender: eva@alpha.test\r\n" * 20, ME),
        (b'From: "<eva@alpha.test> <boss@alpha.test>\r\n', ME),
        (b"From: eva@alpha.test" + b", eva@alpha.test" * 600 + b"\r\n", ME),
        (b"From: \xff\xfe@alpha.test\r\n", ME),
        (b"From: eva@alpha.test\r\nSender: boss@alpha.test\r\n", b"From: eva@alpha.test\r\n"),
        (b"Resent-From: boss@alpha.test\r\nResent-Sender:\tboss@alpha.test\r\n", ME),
        (b"From: eva@alpha.test\r\nSender: sales@alpha.test\r\n", None),
        (
            b"From: eva@alpha.test\r\nTo: x\rFrom: boss@alpha.test\r\n",
            b"From: eva@alpha.test\r\nTo: x From: b",
        ),
        # Where a script may write it, it is no mark of a message that is sent on.
        (b"From: boss@alpha.test\r\nX-Sieve-Redirected-From: eva@alpha.test\r\n", ME + b"X-Sieve-Redirected"),
    ],
)
def test_what_a_filter_writes_itself_names_the_user_and_nobody_else(
    tmp_path: Path, written: bytes, becomes: bytes | None
) -> None:
    code, listener, given = sent(tmp_path, OWN + written + b"\r\nFrom: boss@alpha.test\r\n", "<>")
    assert (code, listener.said) == (3, [])
    head, body = given.partition(b"\n")[2].split(b"\r\n\r\n", 1)
    assert body == b"From: boss@alpha.test\r\n"
    if becomes is None:
        assert head + b"\r\n" == OWN + written
    elif becomes.startswith(ME):
        assert (head + b"\r\n").startswith(ME + OWN + becomes.removeprefix(ME))
    else:
        assert (head + b"\r\n").startswith(OWN + becomes)
    assert len(re.findall(rb"(?im)^from\s*:", head)) == 1


@pytest.mark.parametrize(
    ("sender", "leaves"), [("boss@alpha.test", USER), ("sales@alpha.test", "sales@alpha.test"), ("<>", "<>")]
)
def test_the_envelope_of_what_a_filter_writes_is_the_users_or_nobodys(
    tmp_path: Path, sender: str, leaves: str
) -> None:
    _, _, given = sent(tmp_path, OWN + b"From: eva@alpha.test\r\n\r\n", sender)
    assert given.startswith(f"-i -f {leaves} -- far@beta.test\n".encode())


@pytest.mark.parametrize("text", [OWN + b"\r\n", REDIRECTED + b"\r\n"])
def test_without_a_user_nothing_is_sent_and_dovecot_tries_again(tmp_path: Path, text: bytes) -> None:
    code, listener, given = sent(tmp_path, text, "<>", user="")
    assert (code, listener.said, given) == (75, [], b"")


@pytest.mark.parametrize("refuses", ["MAIL", "RCPT", "DATA", "."])
def test_what_the_listener_refuses_is_tried_again_later(tmp_path: Path, refuses: str) -> None:
    code, _, given = sent(tmp_path, REDIRECTED + b"\r\ntext\r\n", "eva@alpha.test", refuses)
    assert (code, given) == (75, b"")
