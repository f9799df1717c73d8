"""Servers of hypothesis against whole sessions of each client: whatever they say, a client ends with an answer or a
ProbeError, and shows no control character and no password.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailprov.probe.clients import hello, https, tls
from mailprov.probe.clients.errors import ProbeError
from mailprov.probe.clients.folders import folders_at
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.managesieve import ManageSieve
from mailprov.probe.clients.pop3 import Pop3
from mailprov.probe.clients.smtp import Smtp
from tests.unit.probe.fuzz.feeds import COUNTS, ENDS, PASSWORD, Feed, Plan, examples, plans, sound


def smtp(connection: Feed) -> None:
    client = Smtp(connection)
    client.greet()
    client.start_tls(tls.looking_context(), "mx.test")
    str(client.login("user", PASSWORD))
    str(client.prove_login("user@a.test"))
    for reply in (client.mail("a@a.test"), client.rcpt("b@b.test"), client.data(b"x: y\r\n\r\n.\r\n")):
        assert isinstance(reply.enhanced, str)
        assert reply.kind in (2, 3, 4, 5)
        str(reply)
    client.quit()


def imap(connection: Feed) -> None:
    client = Imap(connection)
    client.greet()
    client.offers()
    str(client.login("user", PASSWORD))
    str(client.login("us\u00e9r", PASSWORD))
    client.prove_login("user@a.test")
    for folder in folders_at(client, 10):
        for uid in client.search_in(folder, "ALL")[:2]:
            client.fetch(uid)
    client.find("Subject", "x", "INBOX")
    client.remove([1, 2])
    client.quit()


def pop3(connection: Feed) -> None:
    client = Pop3(connection)
    client.greet()
    client.offers()
    client.login("user", PASSWORD)
    client.prove_login("user@a.test")
    client.identifiers()
    client.find("X-Mailprov-Probe", "abc", "INBOX")
    client.quit()


def sieve(connection: Feed) -> None:
    client = ManageSieve(connection)
    client.greet()
    client.start_tls(tls.looking_context(), "mx.test")
    client.login("user", PASSWORD)
    client.prove_login("user@a.test")
    client.quit()


def web(connection: Feed) -> None:
    for posts in (None, b"x"):
        page = https.ask(connection, "a.test", "/x", 20, posts=posts)
        assert page.body is None or len(page.body) <= 20
        assert 0 <= page.status <= 999


def client_hello(connection: Feed) -> None:
    answer = hello.say(connection, hello.MODERN, "a.test")
    assert answer.accepted or answer.alert


SESSIONS: dict[str, tuple[Callable[[Any], None], float]] = {
    "smtp": (smtp, 0.14),
    "imap": (imap, 0.2),
    "pop3": (pop3, 0.14),
    "sieve": (sieve, 0.12),
    "https": (web, 0.12),
    "hello": (client_hello, 0.08),
}


@pytest.mark.parametrize("protocol", SESSIONS)
def test_no_server_breaks_a_session(protocol: str) -> None:
    session, share = SESSIONS[protocol]

    @examples(share)
    @given(plans(), st.sampled_from(ENDS))
    def hold(plan: Plan, end: str) -> None:
        connection = Feed(protocol, plan, end)
        try:
            session(connection)
        except ProbeError as error:
            str(error)
        sound(connection)
        COUNTS[protocol] += 1

    hold()


@pytest.mark.parametrize("protocol", SESSIONS)
def test_a_right_server_is_understood_to_the_end(protocol: str) -> None:
    """Without this the above would prove little: it is from here that servers depart."""
    SESSIONS[protocol][0](Feed(protocol, {}))
