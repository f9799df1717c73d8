"""Accounts that may do less, dates that come, and passwords of programs: on hosts, by every protocol.

Debian 13 alone in the short form, both Dovecot lines in the long one; each test looks at all hosts.
"""

from __future__ import annotations

import base64
import imaplib
import poplib
import re
import smtplib
import socket
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailprov import lab
from tests.lab import post
from tests.lab.labs import run_on, wait_until
from tests.lab.matrix import address
from tests.lab.program import Result, run
from tests.users.conftest import LONG, RELEASES

long_alone = pytest.mark.skipif(not LONG, reason="in the long form")
STRANGER = "stranger@else.test"
PROTOCOLS = ("imap", "pop3", "submission", "managesieve")
DISABLED = (550, b"5.2.1")
ACCOUNTS = """\
      ana:
        password: {env: P}
        app_passwords:
          phone: {env: P, protocols: [imap, submission]}
          tablet: {env: P, protocols: [imap]}
          sync: {env: P, protocols: [managesieve, pop3]}
      nolog: {password: {env: P}, state: no-login, forward: {to: [boss], keep: true}}
      norec: {password: {env: P}, state: no-receive}
      susp: {password: {env: P}, state: suspended, forward: {to: [boss], keep: false}}
      eva: {password: {env: P}}
      boss: {password: {env: P}}
    aliases: {info: susp}
    lists: {team: [susp, boss]}
"""


def names() -> list[tuple[str, str]]:
    return [(f"mx{number}", f"d{number}.test") for number, _ in enumerate(RELEASES, 1)]


def inventory() -> str:
    hosts = "".join(
        f"  {name}: {{address: 192.0.2.{number}, fqdn: {name}.d{number}.test, lab: {{release: {release}}}}}\n"
        for number, (release, (name, _)) in enumerate(zip(RELEASES, names(), strict=True), 1)
    )
    domains = "".join(
        f"  {domain}:\n    hosts: [{host}]\n    accounts:\n{ACCOUNTS}" for host, domain in names()
    )
    return f"filter: none\nhosts:\n{hosts}domains:\n{domains}"


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    made = ready_lab_factory(inventory())
    result = run("apply", "--yes", "--no-verify", str(made.inventory_path))
    assert result.code == 0, result.events[-3:]
    return made


def login(hosts: lab.Lab, host: str, protocol: str, user: str, password: str) -> tuple[bool, str]:
    """Whether it was let in, and the server's words."""
    where, context = address(hosts, host), post.context(hosts)
    try:
        if protocol == "imap":
            with imaplib.IMAP4_SSL(where, 993, ssl_context=context, timeout=post.TIMEOUT) as client:
                return True, str(client.login(user, password))
        if protocol == "pop3":
            box = poplib.POP3_SSL(where, 995, context=context, timeout=post.TIMEOUT)
            box.user(user)
            return True, str(box.pass_(password))
        if protocol == "submission":
            with smtplib.SMTP_SSL(where, 465, timeout=post.TIMEOUT, context=context) as mail:
                return True, str(mail.login(user, password))
        return sieve(hosts, where, user, password)
    except (imaplib.IMAP4.error, poplib.error_proto, smtplib.SMTPAuthenticationError) as error:
        return False, str(error)


def sieve(hosts: lab.Lab, where: str, user: str, password: str) -> tuple[bool, str]:
    plain = base64.b64encode(f"\0{user}\0{password}".encode())
    with socket.create_connection((where, 4190), timeout=post.TIMEOUT) as first:
        last_line(first)
        first.sendall(b"STARTTLS\r\n")
        last_line(first)
        with post.context(hosts).wrap_socket(first) as second:
            last_line(second)
            second.sendall(b'AUTHENTICATE "PLAIN" "' + plain + b'"\r\n')
            words = last_line(second)
            return words.startswith("OK"), words


def last_line(connection: socket.socket) -> str:
    """Of one answer: OK, NO or BYE."""
    seen = b""
    while not re.search(rb"(?m)^(OK|NO|BYE)\b.*\r\n", seen):
        chunk = connection.recv(4096)
        assert chunk, seen
        seen += chunk
    return seen.decode().splitlines()[-1]


def let_in(
    hosts: lab.Lab, host: str, tries: Iterable[tuple[str, str, str]]
) -> dict[tuple[str, str, str], bool]:
    """(protocol, user, the password of which name) → whether it was; all at once, as a refusal takes five seconds."""
    tries = list(tries)
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda one: login(hosts, host, one[0], one[1], own(hosts, one[2]))[0], tries)
        return dict(zip(tries, made, strict=True))


def own(hosts: lab.Lab, user: str) -> str:
    return post.password(hosts, user)


def rcpt(hosts: lab.Lab, host: str, to: str) -> tuple[int, bytes]:
    """What a stranger is told."""
    with post.outside(address(hosts, host)) as client:
        client.mail(STRANGER)
        code, words = client.rcpt(to)
        return code, words.split(b" ")[0]


def edit(hosts: lab.Lab, pattern: str, by: str) -> None:
    text = hosts.inventory_path.read_text()
    changed = re.sub(pattern, by, text)
    assert changed != text
    hosts.inventory_path.write_text(changed)


def apply(hosts: lab.Lab) -> Result:
    result = run("apply", "--yes", "--no-verify", str(hosts.inventory_path))
    assert result.code == 0, result.events[-3:]
    return result


def changes(result: Result, host: str) -> list[str]:
    return [
        f"{change['name']}: {change['detail']}"
        for planned in result.of("planned", subject=host)
        for change in planned["changes"]
        if change["kind"] == "account"
    ]


def nothing(hosts: lab.Lab) -> None:
    """A plan says that nothing is to be done."""
    result = run("plan", str(hosts.inventory_path))
    assert [result.changes(host) for host, _ in names()] == [[] for _ in names()]


def arrived(hosts: lab.Lab, host: str, subject: str) -> set[str]:
    return {box for box, _, head in post.stored(hosts, host) if subject in head}


def test_each_state_by_each_protocol(hosts: lab.Lab) -> None:
    may = {"nolog": False, "norec": True, "susp": False, "ana": True}
    for host, domain in names():
        users = {f"{name}@{domain}": expected for name, expected in may.items()}
        seen = let_in(hosts, host, ((protocol, user, user) for user in users for protocol in PROTOCOLS))
        assert seen == {key: users[key[1]] for key in seen}
        gets = {
            name: rcpt(hosts, host, f"{name}@{domain}")
            for name in ("nolog", "norec", "susp", "info", "susp+x")
        }
        assert gets.pop("nolog")[0] == 250
        assert set(gets.values()) == {DISABLED}, gets
        assert rcpt(hosts, host, f"postmaster@{domain}")[0] == 250
        log = run_on(hosts, host, "journalctl -u dovecot --no-pager")
        assert not re.search(rf"susp@{domain}.*(unknown user|Password mismatch)", log), (
            "fail2ban would count it"
        )


@long_alone
def test_mail_goes_on_for_who_may_not_log_in_and_comes_back_for_who_gets_none(hosts: lab.Lab) -> None:
    for host, domain in names():
        with post.outside(address(hosts, host)) as client:
            post.transaction(client, STRANGER, [f"nolog@{domain}"], "Subject: goes-on\n\nx")
        wait_until(
            lambda host=host, domain=domain: (
                arrived(hosts, host, "goes-on") >= {f"nolog@{domain}", f"boss@{domain}"}
            ),
            "mail and its forward arrive",
        )
        with post.inside(hosts, address(hosts, host), f"norec@{domain}") as client:
            post.transaction(
                client,
                f"norec@{domain}",
                [f"team@{domain}"],
                f"From: <norec@{domain}>\nSubject: to-list\n\nx",
            )
            assert client.mail(f"norec@{domain}")[0] == 250
            assert client.rcpt(f"susp@{domain}")[0] == 550
        wait_until(
            lambda host=host, domain=domain: f"boss@{domain}" in arrived(hosts, host, "to-list"),
            "the list's other member gets it",
        )
        wait_until(
            lambda host=host: (
                "status=bounced" in run_on(hosts, host, "journalctl --no-pager -g dsn=5.2.1 || true")
            ),
            "what was for the other comes back",
        )
        assert f"susp@{domain}" not in arrived(hosts, host, "to-list")


def test_a_password_of_a_program_is_for_its_protocols(hosts: lab.Lab) -> None:
    works = {
        "phone": {"imap", "submission"},
        "tablet": {"imap"},
        "sync": {"managesieve", "pop3"},
    }
    for host, domain in names():
        user = f"ana@{domain}"
        tries = [(protocol, user, f"{user}+{name}") for name in works for protocol in PROTOCOLS]
        seen = let_in(hosts, host, [*tries, ("imap", f"boss@{domain}", f"{user}+phone")])
        assert {key for key, good in seen.items() if good} == {
            (protocol, user, f"{user}+{name}") for name, protocols in works.items() for protocol in protocols
        }
        log = run_on(hosts, host, "journalctl -u dovecot --no-pager")
        assert "app=<phone>" in log
        assert "app=<tablet>" in log


def test_verify_proves_it_and_a_second_plan_is_empty(hosts: lab.Lab) -> None:
    result = run("verify", "--probe", "state", str(hosts.inventory_path))
    found = result.of("found")
    assert {finding["id"] for finding in found} == {"state.login", "state.mail", "state.app-password"}
    wrong = [each for each in found if each["verdict"] not in ("pass", "skip")]
    assert wrong == []
    assert sum(each["verdict"] == "pass" for each in found) >= 13 * len(names())
    nothing(hosts)


def test_a_state_is_one_line_of_the_plan_ends_sessions_and_a_rollback_takes_it_back(hosts: lab.Lab) -> None:
    idle, sending = {}, {}
    for host, domain in names():
        idle[host] = imaplib.IMAP4_SSL(address(hosts, host), 993, ssl_context=post.context(hosts))
        idle[host].login(f"eva@{domain}", own(hosts, f"eva@{domain}"))
        sending[host] = smtplib.SMTP_SSL(address(hosts, host), 465, context=post.context(hosts))
        sending[host].login(f"eva@{domain}", own(hosts, f"eva@{domain}"))
        assert sending[host].mail(f"eva@{domain}")[0] == 250
        assert sending[host].rcpt(f"boss@{domain}")[0] == 250
    before = hosts.inventory_path.read_text()
    edit(hosts, r"( +)(eva:\n +password:\n +file: \S+\n)", r"\1\2\1  state: suspended\n")
    result = apply(hosts)
    for host, domain in names():
        assert changes(result, host) == [f"eva@{domain}: active → suspended"]
        assert ended(idle[host]), "the session goes on"
        assert sending[host].rcpt(f"boss@{domain}")[0] == 550
        assert not login(hosts, host, "imap", f"eva@{domain}", own(hosts, f"eva@{domain}"))[0]
        assert rcpt(hosts, host, f"eva@{domain}") == DISABLED
    nothing(hosts)
    assert run("rollback", "--yes", str(hosts.inventory_path)).code == 0
    hosts.inventory_path.write_text(before)
    for host, domain in names():
        assert login(hosts, host, "imap", f"eva@{domain}", own(hosts, f"eva@{domain}"))[0]
        assert rcpt(hosts, host, f"eva@{domain}")[0] == 250
    nothing(hosts)


def ended(client: imaplib.IMAP4) -> bool:
    try:
        client.noop()
        return client.noop()[0] != "OK"
    except (imaplib.IMAP4.abort, OSError):
        return True


@pytest.fixture
def dated(hosts: lab.Lab) -> tuple[int, dict[str, list[imaplib.IMAP4_SSL]], dict[str, smtplib.SMTP_SSL]]:
    """boss and ana's phone expire at the moment given, and have sessions on each host, which begin before it; so has
    the phone one of submission.
    """
    before = hosts.inventory_path.read_text()
    for seconds in (25, 90, 300):  # as this machine needs
        hosts.inventory_path.write_text(before)
        at = int(time.time()) + seconds
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
        edit(hosts, r"( +)(boss:\n +password:\n +file: \S+\n)", rf'\1\2\1  expires: "{when}"\n')
        edit(hosts, r"( +)(phone:\n +file: \S+\n)", rf'\1\2\1  expires: "{when}"\n')
        apply(hosts)
        try:
            sessions = {
                host: [
                    begun(hosts, host, f"boss@{domain}", f"boss@{domain}"),
                    begun(hosts, host, f"ana@{domain}", f"ana@{domain}+phone"),
                ]
                for host, domain in names()
            }
            sending = {
                host: submitting(hosts, host, f"ana@{domain}", f"ana@{domain}+phone")
                for host, domain in names()
            }
        except (imaplib.IMAP4.error, smtplib.SMTPAuthenticationError):
            assert time.time() >= at, "refused before the date"
            continue
        if time.time() < at:
            return at, sessions, sending
    pytest.fail("this machine is too slow to apply and log in within five minutes")


def begun(hosts: lab.Lab, host: str, user: str, name: str) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL(address(hosts, host), 993, ssl_context=post.context(hosts))
    client.login(user, own(hosts, name))
    return client


def submitting(hosts: lab.Lab, host: str, user: str, name: str) -> smtplib.SMTP_SSL:
    client = smtplib.SMTP_SSL(address(hosts, host), 465, timeout=post.TIMEOUT, context=post.context(hosts))
    client.login(user, own(hosts, name))
    assert client.mail(user)[0] == 250
    client.rset()
    return client


def test_a_date_comes_in_the_middle_of_a_session_without_an_apply(
    hosts: lab.Lab, dated: tuple[int, dict[str, list[imaplib.IMAP4_SSL]], dict[str, smtplib.SMTP_SSL]]
) -> None:
    """The account, and a password of another one; then a later date brings the account back."""
    for host, domain in names():
        for session in dated[1][host]:
            wait_until(lambda session=session: ended(session), "the session ends", timeout=300)
        assert time.time() >= dated[0]
        boss, ana = f"boss@{domain}", f"ana@{domain}"
        assert dated[2][host].mail(ana)[0] == 421
        again = submitting(hosts, host, ana, ana)
        assert again.mail(ana)[0] == 250
        seen = let_in(
            hosts,
            host,
            [
                ("imap", boss, boss),
                ("submission", boss, boss),
                ("imap", ana, f"{ana}+phone"),
                ("imap", ana, f"{ana}+tablet"),
                ("imap", ana, ana),
            ],
        )
        assert list(seen.values()) == [False, False, False, True, True]
        assert rcpt(hosts, host, boss) == DISABLED
    nothing(hosts)
    edit(hosts, r'(boss:\n +password:\n +file: \S+\n +expires: )"\S+"', r"\g<1>2099-12-31")
    result = apply(hosts)
    for host, domain in names():
        assert len(changes(result, host)) == 1
        assert login(hosts, host, "imap", f"boss@{domain}", own(hosts, f"boss@{domain}"))[0]
        assert rcpt(hosts, host, f"boss@{domain}")[0] == 250


@long_alone
def test_a_host_that_was_off_at_the_date_says_so_at_boot(hosts: lab.Lab) -> None:
    """As if it had been off: its timer is stopped over the date; what runs at boot runs again."""
    host, domain = names()[0]
    at = int(time.time()) + 30
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    edit(
        hosts,
        r"( +)(eva:\n +password:\n +file: \S+\n)",
        rf'\1\2\1  expires: {{date: "{when}", state: no-login}}\n',
    )
    apply(hosts)
    run_on(hosts, host, "systemctl stop mailprov-expiry.timer")
    wait_until(lambda: time.time() > at, "the date", timeout=60)
    run_on(hosts, host, "systemctl stop dovecot postfix mailprov-states && systemctl start mailprov-states")
    denied = run_on(hosts, host, "cat /var/lib/mailprov-states/denied")
    assert f"eva@{domain}:" in denied
    order = run_on(hosts, host, "systemctl show -p Before --value mailprov-states.service")
    assert {"dovecot.service", "postfix.service"} <= set(order.split())
    run_on(hosts, host, "systemctl start dovecot postfix mailprov-expiry.timer")
    assert not login(hosts, host, "imap", f"eva@{domain}", own(hosts, f"eva@{domain}"))[0]
    assert rcpt(hosts, host, f"eva@{domain}")[0] == 250


@long_alone
def test_without_the_keys_all_of_it_goes(hosts: lab.Lab) -> None:
    text = hosts.inventory_path.read_text()
    text = re.sub(r"\n +state: \S+", "", text)
    text = re.sub(r"\n +expires:(?: [^\n]+|(?:\n {10,}[^\n]+)+)", "", text)
    text = re.sub(r"\n( +)app_passwords:(\n\1 +[^\n]+)+", "", text)
    hosts.inventory_path.write_text(text)
    apply(hosts)
    for host, domain in names():
        assert login(hosts, host, "imap", f"susp@{domain}", own(hosts, f"susp@{domain}"))[0]
        assert rcpt(hosts, host, f"susp@{domain}")[0] == 250
        assert not login(hosts, host, "imap", f"ana@{domain}", own(hosts, f"ana@{domain}+tablet"))[0]
        left = run_on(hosts, host, "ls /etc/mailprov/ /etc/systemd/system; cat /var/lib/mailprov-states/*")
        assert "states" not in left
        assert "$6$" not in left
    nothing(hosts)
