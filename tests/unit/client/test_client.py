"""mailprov client: the servers of an account, and each form in which a program or a person takes them."""

from __future__ import annotations

import json
import plistlib
import shutil
import stat
import subprocess
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from mailprov.client import qr
from mailprov.client.autoconfig import autoconfig
from mailprov.client.autodiscover import autodiscover
from mailprov.client.mobileconfig import mobileconfig
from mailprov.client.settings import of_account, of_domain
from mailprov.client.sheet import Sheet, notes, sheet
from mailprov.components.templates import folders
from mailprov.inventory import SecretMode, load
from mailprov.model.ports import PORTS
from tests.unit.cli.program import mailprov

PASSWORD = 'three <sad> tigers & "co"'
HASH = "{SHA512-CRYPT}$6$abcdefgh$" + "a" * 86
INVENTORY = f"""\
hosts:
  mx1: {{address: 192.0.2.1, fqdn: mx1.alpha.test}}
  mx2: {{address: 192.0.2.2, fqdn: mx2.alpha.test, tls: {{mode: acme}}}}
domains:
  alpha.test:
    hosts: [mx1, mx2]
    accounts:
      ana: {{password: {{env: ANA_PASSWORD}}}}
      luis: {{password: {{hash: '{HASH}'}}}}
    aliases: {{info: ana}}
    lists: {{team: [ana, luis]}}
    domain_aliases: [alfa.test]
  beta.test:
    hosts: [mx2]
    mail_name: mail.beta.test
    accounts: {{eva: {{password: {{env: ANA_PASSWORD}}}}}}
  gamma.test:
    hosted: {{provider: google-workspace}}
  delta.test:
    hosted: {{provider: other, mx: mx.provider.example}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANA_PASSWORD", PASSWORD)
    path = tmp_path / "mail.yml"
    path.write_text(INVENTORY)
    return path


def settings(file: Path, address: str):  # type: ignore[no-untyped-def]
    return of_account(load(file, SecretMode.IGNORE), address)


def test_every_port_where_users_log_in_is_there_the_safer_first(file: Path) -> None:
    found = settings(file, "ana@alpha.test")
    assert [server.port for server in found.servers] == [993, 143, 995, 110, 465, 587]
    assert {server.port for server in found.servers} == {port.number for port in PORTS if port.login}
    assert {(server.host, server.user) for server in found.servers} == {("mx1.alpha.test", "ana@alpha.test")}
    assert found.self_signed


def test_where_programs_ask_the_domain_a_user_is_told_that_address_and_password_are_enough(
    file: Path,
) -> None:
    before = notes(settings(file, "ana@alpha.test"))
    file.write_text(f"web: true\n{INVENTORY}")
    (told,) = set(notes(settings(file, "ana@alpha.test"))) - set(before)
    assert told.startswith("Thunderbird, K-9 and the classic Outlook need the address and the password only")


def test_only_what_the_host_offers_is_in_any_form(file: Path) -> None:
    read = INVENTORY.replace(
        "fqdn: mx1.alpha.test", "fqdn: mx1.alpha.test, services: [imaps, submissions, sieve]"
    )
    file.write_text(read)
    found = settings(file, "ana@alpha.test")
    assert [server.port for server in found.servers] == [993, 465]
    assert found.whole
    assert "pop" not in autoconfig(found).lower()
    assert "<Type>POP" not in autodiscover(found)
    for form in ("table", "sheet", "mobileconfig", "autoconfig", "autodiscover"):
        shown = mailprov("client", str(file), "ana@alpha.test", "--form", form).stdout
        assert "995" not in shown.replace("a" * 86, "")
        assert "993" in shown
    refused = mailprov("client", str(file), "ana@alpha.test", "--form", "mobileconfig", "--pop")
    assert refused.returncode == 2
    assert "the host of alpha.test offers no POP" in refused.stderr
    assert settings(file, "eva@beta.test").incoming(pop=True)


def test_where_there_is_pop_alone_it_is_what_programs_get(file: Path) -> None:
    file.write_text(
        INVENTORY.replace("fqdn: mx1.alpha.test", "fqdn: mx1.alpha.test, services: [pop3s, submission]")
    )
    found = settings(file, "ana@alpha.test")
    account = plistlib.loads(mobileconfig(found).encode())["PayloadContent"][0]
    assert (account["EmailAccountType"], account["IncomingMailServerPortNumber"]) == ("EmailTypePOP", 995)
    assert json.loads(qr.payload(found))[2][0:3] == [1, "mx1.alpha.test", 995]
    assert "Choose POP" in sheet([Sheet(found)], folders())


def test_a_domains_own_name_and_a_certificate_of_an_authority(file: Path) -> None:
    found = settings(file, "eva@beta.test")
    assert {server.host for server in found.servers} == {"mail.beta.test"}
    assert not found.self_signed


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("info@alpha.test", "is an alias of ana@alpha.test, without a mailbox of its own. Set up ana@alpha.test."),
        ("team@alpha.test", "is a list, which has no mailbox"),
        ("eva@alpha.test", "alpha.test has no account eva@alpha.test. Its accounts: ana@alpha.test, luis@alpha.test."),
        ("ana@alfa.test", "is another name of the domain alpha.test. Set up ana@alpha.test, whose mailbox it is."),
        ("ana@nowhere.test", "nowhere.test is no domain of this inventory. Its domains: alpha.test, beta.test,"),
        ("ana@delta.test", "is at a provider that mailprov does not know"),
        ("ana", "whole address"),
    ],
)  # fmt: skip
def test_an_address_without_a_mailbox_is_refused_with_what_to_do(file: Path, address: str, what: str) -> None:
    done = mailprov("client", str(file), address)
    assert (done.returncode, done.stdout) == (2, "")
    assert what in done.stderr


def test_the_file_of_thunderbird_names_each_server_in_order(file: Path) -> None:
    root = Xml.fromstring(autoconfig(settings(file, "ana@alpha.test")))
    assert (root.tag, root.get("version")) == ("clientConfig", "1.1")
    found = [
        (each.tag, each.get("type"), *(each.findtext(name) for name in ("port", "socketType", "username")))
        for each in root.find("emailProvider") or ()
        if each.tag.endswith("Server")
    ]
    user = "ana@alpha.test"
    assert found == [
        ("incomingServer", "imap", "993", "SSL", user),
        ("incomingServer", "imap", "143", "STARTTLS", user),
        ("incomingServer", "pop3", "995", "SSL", user),
        ("incomingServer", "pop3", "110", "STARTTLS", user),
        ("outgoingServer", "smtp", "465", "SSL", user),
        ("outgoingServer", "smtp", "587", "STARTTLS", user),
    ]


def test_files_of_a_domain_name_no_account(file: Path) -> None:
    read = load(file, SecretMode.IGNORE)
    whole = of_domain(read, read.domains[0])
    for text in (autoconfig(whole), autodiscover(whole), mobileconfig(whole)):
        assert "ana" not in text.replace("EmailAccountManage", "").replace("managed", "")
        assert "luis" not in text
    assert "%EMAILADDRESS%" in autoconfig(whole)


def test_outlooks_answer_has_one_server_of_each_kind(file: Path) -> None:
    space = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"
    root = Xml.fromstring(autodiscover(settings(file, "ana@alpha.test")))
    found = [
        tuple(
            each.findtext(space + name)
            for name in ("Type", "Server", "Port", "LoginName", "SSL", "Encryption")
        )
        for each in root.iter(f"{space}Protocol")
    ]
    rest = ("ana@alpha.test", "on", "SSL")
    assert found == [
        ("IMAP", "mx1.alpha.test", "993", *rest),
        ("POP3", "mx1.alpha.test", "995", *rest),
        ("SMTP", "mx1.alpha.test", "465", *rest),
    ]  # fmt: skip


def test_apples_profile_replaces_its_former_self_and_holds_no_password_unless_asked(file: Path) -> None:
    ana = settings(file, "ana@alpha.test")
    profile = plistlib.loads(mobileconfig(ana).encode())
    (account,) = profile["PayloadContent"]
    assert account["EmailAccountType"] == "EmailTypeIMAP"
    assert (account["IncomingMailServerHostName"], account["IncomingMailServerPortNumber"]) == (
        "mx1.alpha.test",
        993,
    )
    assert (account["OutgoingMailServerPortNumber"], account["OutgoingMailServerUsername"]) == (
        465,
        "ana@alpha.test",
    )
    assert "IncomingPassword" not in account
    (by_pop,) = plistlib.loads(mobileconfig(ana, pop=True, password=PASSWORD).encode())["PayloadContent"]
    assert (by_pop["EmailAccountType"], by_pop["IncomingMailServerPortNumber"]) == ("EmailTypePOP", 995)
    assert by_pop["IncomingPassword"] == PASSWORD
    assert by_pop["PayloadUUID"] == account["PayloadUUID"]
    other = plistlib.loads(mobileconfig(settings(file, "eva@beta.test")).encode())
    assert other["PayloadUUID"] != profile["PayloadUUID"]  # fmt: skip


def test_the_qr_code_is_as_thunderbirds_format_has_it(file: Path) -> None:
    text = qr.payload(settings(file, "ana@alpha.test"), password=PASSWORD)
    assert json.loads(text) == [
        1,
        [1, 1],
        [0, "mx1.alpha.test", 993, 3, 1, "ana@alpha.test", "", PASSWORD],
        [[[0, "mx1.alpha.test", 465, 3, 1, "ana@alpha.test", PASSWORD], ["ana@alpha.test", "ana"]]],
    ]
    without = json.loads(qr.payload(settings(file, "ana@alpha.test"), pop=True))
    assert without[2] == [1, "mx1.alpha.test", 995, 3, 1, "ana@alpha.test"]
    by_page = json.loads(qr.payload(settings(file, "eva@gamma.test")))
    assert by_page[2] == [0, "imap.gmail.com", 993, 3, 6, "eva@gamma.test"]


def test_a_page_for_each_account_escapes_everything_and_fetches_nothing(file: Path) -> None:
    text = sheet(
        [Sheet(settings(file, each), PASSWORD) for each in ("ana@alpha.test", "eva@beta.test")], folders()
    )
    assert text.count("<section>") == 2
    assert "three &lt;sad&gt; tigers" in text
    assert "<sad>" not in text
    assert not [word for word in ("src=", "href=", "@import", "url(", "<script") if word in text]


def test_a_page_says_what_the_account_may_do_less(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    path.write_text(
        "hosts: {mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test}}\n"
        "domains:\n  alpha.test:\n    hosts: [mx1]\n    accounts:\n"
        "      ana: {password: {env: A}}\n"
        "      susp: {password: {env: A}, state: suspended}\n"
        "      soon: {password: {env: A}, expires: 2099-12-31}\n"
    )
    done = mailprov("client", str(path), "--sheet")
    assert done.returncode == 0, done.stderr
    pages = done.stdout.split("<section>")[1:]
    assert [page.count("<strong>") for page in pages] == [0, 2, 1]
    assert "susp@alpha.test may not log in: it is suspended." in pages[1]
    assert "it will be suspended." in pages[2]


_HALVES = {"█": (255, 255), " ": (0, 0), "▀": (255, 0), "▄": (0, 255)}  # light where the terminal has ink


def test_a_phone_reads_the_code_in_the_terminal(file: Path, tmp_path: Path) -> None:
    if not shutil.which("zbarimg"):
        pytest.skip("needs zbarimg: make test installs it as root (scripts/test-tools)")
    text = qr.payload(settings(file, "ana@alpha.test"), password=PASSWORD)
    lines = qr.in_terminal(text).splitlines()
    width = max(map(len, lines))
    rows = [bytes(_HALVES[sign][half] for sign in line.ljust(width)) for line in lines for half in (0, 1)]
    scaled = [bytes(value for value in row for _ in range(8)) for row in rows for _ in range(8)]
    picture = tmp_path / "code.pgm"
    picture.write_bytes(b"P5 %d %d 255\n" % (width * 8, len(scaled)) + b"".join(scaled))
    read = subprocess.run(
        ["zbarimg", "-q", "--raw", picture], check=True, capture_output=True, text=True, timeout=300
    )
    assert read.stdout.strip() == text


def test_what_holds_a_password_is_for_its_owner_alone(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "sheet.html"
    done = mailprov("client", str(file), "--sheet", "-o", str(target))
    assert done.returncode == 0, done.stderr
    assert target.read_text().count("<section>") == 3
    assert PASSWORD not in target.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_passwords_come_only_where_they_are_asked_for_and_can_be(file: Path) -> None:
    shown = mailprov("client", str(file), "ana@alpha.test", "--form", "mobileconfig", "--with-password")
    assert PASSWORD in plistlib.loads(shown.stdout.encode())["PayloadContent"][0]["IncomingPassword"]
    for words, what in (
        (("luis@alpha.test", "--sheet", "--with-password"), "only a hash of its password"),
        (("ana@alpha.test", "--with-password"), "a table has no password in it"),
        (("ana@alpha.test", "--sheet", "--qr"), "only one form"),
        (("ana@alpha.test", "--form", "pdf"), '"pdf" is not a form'),
        ((), "whose account is not given"),
    ):
        done = mailprov("client", str(file), *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert what in done.stderr


def test_programs_get_a_line_for_each_server(file: Path) -> None:
    done = mailprov("client", str(file), "eva@gamma.test", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = [(each["host"], each["port"], each["security"], each["login"]) for each in lines[1:-1]]
    assert found == [
        ("imap.gmail.com", 993, "tls", "oauth2"),
        ("pop.gmail.com", 995, "tls", "oauth2"),
        ("smtp.gmail.com", 465, "tls", "oauth2"),
        ("smtp.gmail.com", 587, "starttls", "oauth2"),
    ]
