"""mailprov account on real hosts, with the default filter: what it edits users meet, and what fails is put back.

A domain for each release, so that a host without the change shows that it was not asked.
"""

from __future__ import annotations

import imaplib
import signal
import smtplib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailprov import lab
from mailprov.schema.sha512_crypt import sha512_crypt
from tests.lab.delayproxy import DelayProxy
from tests.lab.labs import run_on, wait_until
from tests.lab.post import context, inside, outside, transaction
from tests.lab.program import Result, act_when, run
from tests.users.conftest import LONG, RELEASES

DOMAINS = {"debian-12": ("mx1", "alpha.test"), "debian-13": ("mx2", "beta.test")}
SECRET = "a horse, a battery, a staple"
OWN = "/etc/postfix/local.cf"
PATIENCE = 120.0


def inventory(releases: tuple[str, ...]) -> str:
    hosts, domains = "", ""
    for number, release in enumerate(releases, 1):
        host, domain = DOMAINS[release]
        hosts += (
            f"  {host}: {{address: 192.0.2.{number}, fqdn: {host}.{domain}, lab: {{release: {release}}}}}\n"
        )
        domains += (
            f"  {domain}:\n    hosts: [{host}]\n    accounts:\n"
            f"      ana: {{password: {{env: ANA}}}}   # the boss\n    aliases: {{info: ana}}\n"
        )
    return f"# made for tests\nhosts:\n{hosts}domains:\n{domains}"


class Site:
    """One domain, its host, and the lab's inventory, which is edited in place."""

    def __init__(self, where: lab.Lab, release: str) -> None:
        self.where, self.path = where, where.inventory_path
        self.host, self.domain = DOMAINS[release]
        self.address = where.host(self.host).address
        self.new = f"eva@{self.domain}"

    def account(self, *words: str, path: Path | None = None) -> Result:
        file = str(path or self.path)
        return run(
            "account", words[0], file, *words[1:], "--yes", "--no-verify", env={"EVA": SECRET}, timeout=540
        )

    def logs_in(self, password: str, user: str = "") -> bool:
        with imaplib.IMAP4_SSL(self.address, 993, timeout=60, ssl_context=context(self.where)) as client:
            try:
                client.login(user or self.new, password)
            except imaplib.IMAP4.error:
                return False
            return True

    def takes_mail(self, user: str = "") -> bool:
        with outside(self.address) as client:
            client.mail("stranger@else.test")
            return client.rcpt(user or self.new)[0] == 250

    def messages(self) -> str:
        return run_on(self.where, self.host, f"find /var/vmail/{self.domain}/eva -type f -path '*/new/*'")


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    made = ready_lab_factory(inventory(RELEASES))
    done = run("apply", "--yes", "--no-verify", "--only", "hosts", str(made.inventory_path), timeout=540)
    assert done.code == 0, (done.stderr, done.events[-3:])
    return made


@pytest.fixture(params=RELEASES)
def site(request: pytest.FixtureRequest, hosts: lab.Lab) -> Iterator[Site]:
    """A test that fails leaves nothing to the next one."""
    made = Site(hosts, request.param)
    before = made.path.read_bytes()
    yield made
    if made.path.read_bytes() != before:
        made.path.write_bytes(before)
        made.path.with_name(f".{made.path.name}.before").unlink(missing_ok=True)
        run("apply", "--yes", "--no-verify", "--only", "hosts", str(made.path), "--lock-timeout", "60")


def asked(result: Result) -> set[str]:
    return {event["subject"] for event in result.of("planned")}


def test_an_account_comes_is_changed_and_leaves_and_its_mail_stays(site: Site) -> None:
    before = site.path.read_bytes()
    assert not site.takes_mail()

    added = site.account("add", site.new, "--password-env", "EVA", "--quota", "100M")
    assert added.code == 0, added.events[-3:]
    assert asked(added) == {site.host}
    assert ("create", "account", site.new) in added.changes(site.host)
    assert site.logs_in(SECRET)
    assert not site.logs_in("something else")
    boss = f"ana@{site.domain}"
    with inside(site.where, site.address, boss) as client:
        transaction(client, boss, [site.new], f"From: {boss}\nTo: {site.new}\nSubject: one\n\nhello\n")
    wait_until(site.messages, "the message is in the mailbox", PATIENCE)
    with smtplib.SMTP_SSL(site.address, 465, timeout=60, context=context(site.where)) as client:
        client.login(site.new, SECRET)

    changed = site.account("set", site.new, "--hash", sha512_crypt("another horse"), "--quota", "200M")
    assert changed.code == 0, changed.events[-3:]
    assert (site.logs_in("another horse"), site.logs_in(SECRET)) == (True, False)

    assert site.account("suspend", site.new).code == 0
    assert (site.logs_in("another horse"), site.takes_mail()) == (False, False)
    assert site.messages()
    assert site.account("set", site.new, "--state", "active").code == 0
    assert (site.logs_in("another horse"), site.takes_mail()) == (True, True)

    removed = site.account("remove", site.new)
    assert removed.code == 0, removed.events[-3:]
    assert ("delete", "account", site.new) in removed.changes(site.host)
    assert not site.logs_in("another horse")
    assert not site.takes_mail()
    assert site.messages()
    told = [event["text"] for event in removed.of("notice")]
    assert f"the mailbox stays on {site.host}; `mailprov purge {site.new}` deletes it" in told
    assert site.path.read_bytes() == before


def test_an_apply_that_fails_puts_the_inventory_back(site: Site) -> None:
    before, file = site.path.read_bytes(), site.path.stat()
    run_on(site.where, site.host, f"echo 'mesage_size_limit = 1' > {OWN}")
    try:
        failed = site.account("add", site.new, "--password-env", "EVA")
        assert failed.code == 1, failed.events[-3:]
        assert [event["state"] for event in failed.of("inventory_edited")] == ["written", "restored"]
        after = site.path.stat()
        assert site.path.read_bytes() == before
        assert (after.st_ino, after.st_mode, after.st_uid) == (file.st_ino, file.st_mode, file.st_uid)
        assert not site.logs_in(SECRET)
    finally:
        run_on(site.where, site.host, f"rm {OWN}")
    assert run("plan", str(site.path), "--exit-code", "--only", "hosts", "--host", site.host).code == 0


@pytest.mark.parametrize(
    "how", [signal.SIGINT, *([signal.SIGTERM] if LONG else [])], ids=lambda how: how.name
)
def test_one_that_is_interrupted_leaves_file_and_host_alike(site: Site, how: signal.Signals) -> None:
    """Whether the host had come past its point of no return or not."""
    before = site.path.read_bytes()
    add = (
        "account",
        "add",
        str(site.path),
        site.new,
        "--hash",
        "{SHA512-CRYPT}$6$a$b",
        "--yes",
        "--no-verify",
    )
    ended = act_when(
        lambda event: event["event"] == "inventory_edited", lambda process: process.send_signal(how), *add
    )
    done = ended.ended(site.host)["status"] == "ok"
    assert (site.path.read_bytes() == before) != done
    assert not [each for each in site.path.parent.iterdir() if each.name.startswith(f".{site.path.name}")]
    assert run("plan", str(site.path), "--exit-code", "--only", "hosts", "--host", site.host).code == 0
    if done:
        assert site.account("remove", site.new).code == 0


@pytest.mark.skipif(not LONG, reason="in the long form: it is about the file, and unit tests have it")
def test_one_that_is_killed_says_where_the_old_file_is(site: Site) -> None:
    before, left = site.path.read_bytes(), site.path.with_name(f".{site.path.name}.before")
    add = (
        "account",
        "add",
        str(site.path),
        site.new,
        "--hash",
        "{SHA512-CRYPT}$6$a$b",
        "--yes",
        "--no-verify",
    )
    act_when(lambda event: event["event"] == "inventory_edited", lambda process: process.kill(), *add)
    assert left.read_bytes() == before
    again = site.account("remove", site.new)
    assert again.code == 2
    assert str(left) in again.stderr
    left.unlink()  # keep what stands there
    assert site.account("remove", site.new, "--lock-timeout", "60").code == 0
    assert site.path.read_bytes() == before


@pytest.mark.skipif(not LONG, reason="in the long form: it is about the controller, whatever the host")
def test_it_takes_no_more_round_trips_than_an_apply(site: Site) -> None:
    def far(port: int, extra: str) -> Path:
        key = next(
            line.split(maxsplit=1)[1]
            for line in site.where.known_hosts.read_text().splitlines()
            if site.address in line.split()[0].split(",")
        )
        known = site.path.with_name("known-far")
        known.write_text(f"[127.0.0.1]:{port} {key}\n")
        text = (
            f"ssh: {{user: root, port: {port}, identity_file: {site.where.identity_file}, known_hosts: {known}}}\n"
            f"hosts: {{{site.host}: {{address: 127.0.0.1, fqdn: {site.host}.{site.domain}}}}}\n"
            f"domains:\n  {site.domain}:\n    hosts: [{site.host}]\n    accounts:\n"
            f"      ana: {{password: {{env: EVA}}}}\n{extra}"
        )
        path = site.path.with_name("far.yml")
        path.write_text(text)
        return path

    def counted(words: tuple[str, ...], extra: str) -> int:
        with DelayProxy(site.address, 22, 0.05) as proxy:
            path = str(far(proxy.port, extra))
            line = ("account", words[1], path, *words[2:]) if words[0] == "account" else (*words, path)
            done = run(*line, "--yes", "--no-verify", env={"EVA": SECRET}, timeout=540)
            assert done.code == 0, done.events[-3:]
            assert proxy.connections == 1
            return proxy.round_trips

    counted(("apply", "--only", "hosts"), "")
    by_hand = counted(("apply", "--only", "hosts"), "      luis: {password: {env: EVA}}\n")
    counted(("apply", "--only", "hosts"), "")
    assert counted(("account", "add", f"luis@{site.domain}", "--password-env", "EVA"), "") <= by_hand
    done = run("apply", "--yes", "--no-verify", "--only", "hosts", str(site.path), timeout=540)
    assert done.code == 0, done.events[-3:]
