"""What the ssh program says, in mailprov's sentences; the texts are as OpenSSH 9 and 10 print them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailprov.transport.endpoint import Endpoint
from mailprov.transport.openssh.openssh_errors import explain
from mailprov.transport.openssh.program import command

HOP = Endpoint("jump host bastion", "mx1", "10.0.0.1", 22, "root", written="bastion")
DIRECT = Endpoint("mx1", "mx1", "10.0.0.11", 2222, "root", written="mx1.alpha.test")
BEHIND = Endpoint("mx1", "mx1", "10.0.0.11", 2222, "root", jumps=(HOP,), jumps_said_here=True)


@pytest.mark.parametrize(
    ("place", "said", "what"),
    [
        (
            DIRECT,
            "ssh: Could not resolve hostname mx1.alpha.test: Name or service not known",
            f"ssh does not know `mx1.alpha.test`; it reads {Path.home()}/.ssh/config and /etc/ssh/ssh_config",
        ),
        (
            DIRECT,
            "ssh: connect to host 10.0.0.11 port 2222: No route to host",
            "there is no route to 10.0.0.11 port 2222",
        ),
        (
            DIRECT,
            "ssh: connect to host 10.0.0.11 port 2222: Connection timed out",
            "10.0.0.11 port 2222 did not answer in time",
        ),
        (DIRECT, "Connection timed out during banner exchange", "10.0.0.11 port 2222 did not answer in time"),
        (
            BEHIND,
            "ssh: connect to host 10.0.0.1 port 22: Connection refused",
            "jump host bastion refused the connection",
        ),
        (
            BEHIND,
            "No ED25519 host key is known for bastion and you have requested strict checking.",
            "the host key of jump host bastion is not known",
        ),
        (
            BEHIND,
            "No ED25519 host key is known for [10.0.0.11]:2222 and you have requested strict checking.",
            "the host key of 10.0.0.11 port 2222 is not known",
        ),
        (
            BEHIND,
            "channel 0: open failed: connect failed: No route to host",
            "the last jump host cannot connect to 10.0.0.11 port 2222 (open failed: connect failed: No route to host)",
        ),
        (
            DIRECT,
            "root@10.0.0.11: Permission denied (publickey,gssapi-with-mic).",
            "the login as root@10.0.0.11 was refused "
            "(ssh tried all its keys; the server takes publickey,gssapi-with-mic)",
        ),
        (
            DIRECT,
            "something unheard of",
            "ssh could not connect to 10.0.0.11 port 2222 (something unheard of)",
        ),
    ],
)
def test_sentences(place: Endpoint, said: str, what: str) -> None:
    error = explain(place, 255, (said,))
    assert error is not None
    assert (error.where, error.what) == ("mx1", what)
    assert error.advice


@pytest.mark.parametrize("status", [None, 0, 1, 127])
def test_other_failures_are_not_sshs(status: int | None) -> None:
    assert explain(DIRECT, status, ("root@10.0.0.11: Permission denied (publickey).",)) is None


def test_the_words_of_the_command() -> None:
    words = command(BEHIND, 10, ())
    assert words[-6:] == ["-l", "root", "-p", "2222", "--", "10.0.0.11"]
    options = [words[index + 1] for index, word in enumerate(words) if word == "-o"]
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=10"} <= set(options)
    (proxy,) = (option for option in options if option.startswith("ProxyCommand="))
    assert proxy.endswith(" -l root -p 22 -W [%h]:%p -- bastion")
    assert "StrictHostKeyChecking=yes" in proxy
    spaced = Endpoint("mx1", "mx1", "h", 22, "r", user_known_hosts=(Path("/a b/50%"), Path("/c")))
    assert 'UserKnownHostsFile="/a b/50%%" /c' in command(spaced, 10)
