"""The newcomer's hour: from nothing to a service that is proved, and back, on two hosts and a terminal of 80 columns.

What a person types is typed, what he is asked is answered, and each screen is asked for what he must find there: what
was done, what comes next, and nothing that puzzles (no traceback, no word cut at the edge). MAILPROV_RECORD names a
folder into which the screens are written.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailprov import lab
from tests.lab.labs import run_on
from tests.lab.terminal import Screen, Terminal

INVENTORY = """\
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-13}}
domains:
  alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: P}}}}
  beta.test: {hosts: [mx2], accounts: {eva: {password: {env: P}}}}
"""


class Hour:
    """What happens in it, one command after the other; the screens are kept."""

    def __init__(self, terminal: Terminal, hosts: lab.Lab, home: Path) -> None:
        self.terminal, self.hosts, self.home = terminal, hosts, home
        self.screens: dict[str, Screen] = {}

    def types(self, command: str, *answers: tuple[str, str], timeout: float = 600) -> Screen:
        screen = self.terminal.run(command, answers, timeout)
        folder = os.environ.get("MAILPROV_RECORD")
        if folder:
            name = f"{len(self.screens):02} {command.replace('/', '_')[:50]}.txt"
            Path(folder, name).write_text("\n".join(screen.lines) + f"\n[{screen.code}]\n")
        self.screens[command] = screen
        return screen

    def edits(self, pattern: str, replacement: str) -> None:
        """In mail.yml, as with an editor; what is to be replaced must be there once."""
        path = self.home / "mail.yml"
        text, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
        assert count == 1, f"{pattern!r} is {count} times in:\\n{path.read_text()}"
        path.write_text(text)


@pytest.fixture(scope="module")
def hour(
    ready_lab_factory: Callable[[str], lab.Lab], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hour]:
    hosts = ready_lab_factory(INVENTORY)
    home = tmp_path_factory.mktemp("home")
    key = home / ".ssh/id_ed25519"
    key.parent.mkdir(mode=0o700)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "newcomer", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    for host in ("mx1", "mx2"):
        run_on(hosts, host, f"echo '{public}' >>/root/.ssh/authorized_keys")
    with Terminal(tmp_path_factory.mktemp("terminal"), home) as terminal:
        yield Hour(terminal, hosts, home)


def test_the_first_page_says_where_to_begin(hour: Hour) -> None:
    page = hour.types("mailprov")
    assert "Begin with mailprov init." in page.text


def test_init_asks_and_tries_the_login_and_says_what_is_next(hour: Hour) -> None:
    asked = hour.types(
        "mailprov init",
        (r"^Mail domain: *$", "alpha test"),
        (r"^Mail domain: *$", "alpha.test"),
        (r"^Host's full name \[mx1\.alpha\.test\]: *$", ""),
        (r"^Address for SSH \[mx1\.alpha\.test\]: *$", hour.hosts.host("mx1").address),
        (r"^SSH user \[root\]: *$", ""),
        (r"\[y/N\]:? *$", "y"),
        (r"^Certificates .*\[self-signed\]: *$", ""),
        (r"^Filter .*\[rspamd\]: *$", ""),
        (r"^Webmail .*: *$", ""),
        (r"^Mailboxes.*: *$", "ana, luis"),
        (r"^Account for tests .*\[probe\]: *$", "none"),
        (r"^Passwords .*\[file\]: *$", ""),
    )
    assert asked.code == 0
    assert '"alpha test" ' in asked.text, "a wrong answer is told, and asked again"
    assert "The login works" in asked.text
    assert "Wrote mail.yml" in asked.text
    assert "Next: mailprov plan" in asked.text
    assert "secrets/ana" in asked.text


def test_what_init_wrote_validates_and_so_does_a_second_host(hour: Hour) -> None:
    good = hour.types("mailprov validate")
    assert (good.code, "good. 1 host, 1 domain, 2 accounts" in good.text) == (0, True), good.text
    hour.edits(
        r"^tls:", f"  mx2:\n    address: {hour.hosts.host('mx2').address}\n    fqdn: mx2.beta.test\n\ntls:"
    )
    hour.edits(
        r"\Z",
        "  beta.test:\n    hosts: [mx3]\n    accounts:\n      eva: {password: {file: secrets/eva}}\n"
        "    dmarc: {policy: none}\n",
    )
    wrong = hour.types("mailprov validate")
    assert wrong.code == 2
    assert re.search(r"mail\.yml:\d+:\d+: .*mx3", wrong.text), "the place of a mistake"
    hour.edits("mx3", "mx2")
    hour.types("cp secrets/ana secrets/eva")
    shutil.copy(hour.hosts.directory / "secrets/tsig", hour.home / "secrets/tsig")
    hour.edits(
        r"^# dns:\n(?:#   .*\n)+",
        f"dns:\n  provider: rfc2136\n  server: {hour.hosts.dns.address}\n"
        "  tsig: {name: mailprov-lab, algorithm: hmac-sha256, secret: {file: secrets/tsig}}\n",
    )
    good = hour.types("mailprov validate")
    assert (good.code, "good. 2 hosts, 2 domains, 3 accounts" in good.text) == (0, True), good.text
    assert "mailprov plan" in good.text, "what comes next"


def test_plan_shows_what_would_be_done_and_how_to_do_it(hour: Hour) -> None:
    refused = hour.types("mailprov plan")
    assert refused.code == 3
    assert "mailprov trust" in refused.text, "the key of mx2 is not known, and how to make it so"
    trusted = hour.types("mailprov trust", (r"\[y/N\]:? *$", "y"))
    assert trusted.code == 0
    plan = hour.types("mailprov plan")
    assert plan.code == 0
    for word in ("mx1", "mx2", "zone alpha.test", "zone beta.test", "ana@alpha.test", "postfix"):
        assert word in plan.text
    assert "mailprov apply" in plan.text, "what comes next"
    password = (hour.home / "secrets/ana").read_text().strip()
    assert password not in plan.text


def test_apply_asks_does_it_and_proves_it(hour: Hour) -> None:
    applied = hour.types("mailprov apply", (r"\[y/N\]:? *$", "y"))
    assert applied.code == 0, applied.text
    assert re.search(r"Done: \d+ changes applied", applied.text)
    assert re.search(r"Probes: \d+ pass", applied.text)
    assert not re.search(r"\d+ (fail|error)", applied.text)
    again = hour.types("mailprov apply")
    assert (again.code, "No changes" in again.text) == (0, True)


def test_verify_proves_it_again_and_explain_tells_what_a_probe_is(hour: Hour) -> None:
    verified = hour.types("mailprov verify")
    assert verified.code == 0, verified.text
    assert re.search(r"^Done: \d+ pass, \d+ warn, \d+ skip \(", verified.text, re.MULTILINE), (
        "self-signed, and told to be; no public address (dns.ptr) and no signed zone (dane.tlsa) of each host, no "
        "policy for certificates that nobody else trusts (dns.mta-sts) of each domain, and no account for tests"
    )
    assert not re.search(r"\d+ (fail|error)", verified.text)
    assert hour.types("mailprov explain delivery.path").code == 0


def test_rollback_goes_back_and_history_tells_of_it(hour: Hour) -> None:
    back = hour.types("mailprov rollback", (r"\[y/N\]:? *$", "y"))
    assert back.code == 0, back.text
    told = hour.types("mailprov history")
    assert told.code == 0
    assert "rollback" in told.text
    left = run_on(hour.hosts, "mx1", "ls /etc/dovecot/mailprov-users /etc/mailprov 2>&1", check=False)
    assert left.count("No such file") == 2, left


def test_nothing_of_all_that_was_ugly(hour: Hour) -> None:
    assert len(hour.screens) >= 10, "a whole hour"
    ugly = {command: found for command, screen in hour.screens.items() if (found := screen.ugly())}
    assert ugly == {}
