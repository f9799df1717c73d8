"""Who guesses passwords at the webmail is slowed down and banned there, and nobody else: not at the web, not by IMAP.

Guessers and the others are different addresses of this machine, IPv4 and IPv6.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from mailprov import lab
from tests.lab.labs import run_on, wait_until
from tests.users.conftest import LONG, RELEASES
from tests.users.webmail import Site, inventory, own_addresses, provisioned

LIES = {"X-Forwarded-For": "198.51.100.7", "X-Real-IP": "198.51.100.8", "Client-IP": "198.51.100.9"}
JAIL = "mailprov-webmail"
GUESSES = 30


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    return provisioned(ready_lab_factory, inventory(RELEASES))


@pytest.fixture(scope="module")
def addresses(hosts: lab.Lab) -> Iterator[list[tuple[str, str]]]:
    with own_addresses(hosts, 2) as made:
        yield made


@pytest.fixture(params=RELEASES)
def site(request: pytest.FixtureRequest, hosts: lab.Lab) -> Iterator[Site]:
    made = Site(hosts, request.param)
    yield made
    run_on(hosts, made.host, "fail2ban-client unban --all")


def banned(site: Site) -> set[str]:
    shown = run_on(site.lab, site.host, f"fail2ban-client status {JAIL}")
    return set(shown.partition("Banned IP list:")[2].split())


class Guesser:
    """Many wrong passwords at once, and how many of them were answered."""

    def __init__(self, site: Site, source: str) -> None:
        self.site, self.source, self.answers = site, source, 0
        self.sent = threading.Semaphore(0)
        for number in range(GUESSES):
            threading.Thread(target=self._guess, args=(number,), daemon=True).start()

    def _guess(self, number: int) -> None:
        try:
            web = self.site.web(self.source)
            fields = {**web.form(), "_user": f"ana@{self.site.domain}", "_pass": f"guess {number}"}
            self.sent.release()
            web.post("/?_task=login", fields, LIES)
            self.answers += 1
        except OSError:
            pass  # banned meanwhile

    def wait(self, count: int) -> None:
        for _ in range(count):
            self.sent.acquire(timeout=120)


@pytest.mark.parametrize("family", [0, 1] if LONG else [1], ids=lambda family: ("IPv4", "IPv6")[family])
def test_a_guesser_is_banned_at_the_web_and_nobody_waits(
    site: Site, addresses: list[tuple[str, str]], family: int
) -> None:
    guesser, other = addresses[0][family], addresses[1][0]
    assert site.web(guesser).login(f"luis@{site.domain}", site.password("luis")).status == 302
    guesses = Guesser(site, guesser)
    guesses.wait(GUESSES - 1)
    time.sleep(0.5)  # the last of them is on its way
    # In one line with the guesser they would come after twenty wrong answers.
    for user in ("luis", "ana"):
        assert site.web(other).login(f"{user}@{site.domain}", site.password(user)).status == 302
        site.imap(user, other).logout()
    assert guesses.answers < 15
    wait_until(lambda: guesser in banned(site), "the guesser is banned")
    assert other not in banned(site)
    # It is told so, or gets no answer where the kernel has told it often enough (icmp_ratelimit, ip-sysctl).
    where = site.address6 if ":" in guesser else site.address
    with pytest.raises((ConnectionRefusedError, TimeoutError)):
        socket.create_connection((where, 443), 10, (guesser, 0))
    # At the web alone; and at the mail ports nobody is banned, not this host either, by which the guesses came.
    site.imap("luis", guesser).logout()
    assert "Currently banned:\t0" in run_on(site.lab, site.host, "fail2ban-client status mailprov-dovecot")
    for user in ("luis", "ana"):
        assert site.web(other).login(f"{user}@{site.domain}", site.password(user)).status == 302
        site.imap(user, other).logout()


def test_a_login_that_is_not_counted_is_not_tried(site: Site) -> None:
    """PHP takes names from where nginx does not look."""
    user, right = f"ana@{site.domain}", site.password("ana")
    for path in (
        "/",
        "/?_task=mail",
        "/?_task=mail&_task=login",
        "/?%5ftask=login",
        "/?.task=login",
        "/?_task[]=login",
        "/?_task=login%00",
        "/index.php",
    ):
        assert site.web().login(user, right, path).status != 302, path
    web = site.web()
    form = {name: value for name, value in web.form().items() if name not in ("_task", "_action")}
    web.cookies.update(_task="login", _action="login")
    assert web.post("/?_task=mail", {**form, "_user": user, "_pass": right}).status != 302
    assert site.web().login(user, right, "/index.php?_task=login").status == 302


def test_the_log_counts_what_was_wrong_and_nothing_that_somebody_makes_up(site: Site) -> None:
    said = "Failed login for {} from {} in session 3bq1kd0tn7rl5a1c (error: {})"
    lines = [
        (said.format("ana@alpha.test", "192.0.2.1", 0), "192.0.2.1"),
        (said.format("", "2001:db8::2", 0), "2001:db8::2"),
        (said.format("x from 198.51.100.1 in session a (error: 0)", "192.0.2.3", 0), "192.0.2.3"),
        (said.format("x", "192.0.2.4 (X-Forwarded-For: 198.51.100.1)", 0), ""),
        # Nobody could look, or no password was tried.
        (said.format("ana@alpha.test", "192.0.2.5", -2), ""),
        (said.format("ana@alpha.test", "192.0.2.6", 1), ""),
        ("Successful login for ana@alpha.test (ID: 1) from 192.0.2.7 in session x (error: 0)", ""),
    ]
    text = "\n".join(f"Nov 29 02:10:{n:02} mx1 roundcube[1654]: {line}" for n, (line, _) in enumerate(lines))
    look = f"fail2ban-regex -o ip /root/lines /etc/fail2ban/filter.d/{JAIL}.conf"
    run_on(site.lab, site.host, f"cat >/root/lines <<'END'\n{text}\nEND")
    assert run_on(site.lab, site.host, look).split() == [address for _, address in lines if address]
    # Only the webmail's own unit is listened to: any user of a host may write under any name.
    fake = said.format("ana", "198.51.100.77", 0)
    run_on(
        site.lab, site.host, f"for n in $(seq 20); do runuser -u nobody -- logger -t roundcube '{fake}'; done"
    )
    other = site.web()
    assert other.login(f"ana@{site.domain}", "wrong").status == 401
    seen = f"fail2ban-client status {JAIL}"
    wait_until(
        lambda: "Currently failed:\t0" not in run_on(site.lab, site.host, seen), "the jail has read on"
    )
    assert "198.51.100.77" not in banned(site)
