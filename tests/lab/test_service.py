"""The whole job on real hosts, as a user does it: plan, first apply, no-change apply, changes, verification going red.

The tests of this file build on each other in their order: one pair of hosts (Debian 12 and 13, so both Dovecot lines)
is pristine at the start and serves two domains after `test_first_apply_…`.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.tsigkeyring
import dns.update
import pytest

from mailprov import lab
from tests.lab.labs import run_on, wait_until
from tests.lab.program import run

# The default filter on mx2, none on mx1.
INVENTORY = """\
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, filter: none, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-13}}
domains:
  alpha.test:
    hosts: [mx1]
    accounts:
      ana: {password: {env: ANA}, quota: 200M}
      luis: {password: {env: LUIS}, forward: {to: [luis@beta.test], keep: true}}
    aliases: {postmaster: ana, ventas: ana}
    lists: {profes: [ana, luis, eva@beta.test]}
    domain_aliases: [alfa.test]
    dmarc: {policy: quarantine, rua: postmaster}
  beta.test:
    hosts: [mx2]
    accounts:
      eva: {password: {env: EVA}}
      luis: {password: {env: LUIS2}}
    aliases: {postmaster: eva}
"""
HOSTS = ("mx1", "mx2")
MAIL_PORTS = {25, 465, 587, 110, 995, 143, 993}

# Every file of the host that only a change may touch: all but what the running system writes by itself.
SNAPSHOT = (
    "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/log "
    "-o -path /var/tmp -o -path /var/lib/systemd -o -path /var/lib/dovecot -o -path /var/lib/postfix "
    "-o -path /var/lib/rspamd -o -path /var/spool/postfix -o -path /var/vmail -o -path /root/.cache \\) -prune -o "
    "-printf '%p %i %m %u %g %s %T@ %C@\\n' | sort"
)
PROCESSES = (
    "systemctl show -p MainPID,ActiveEnterTimestampMonotonic postfix.service postfix@-.service dovecot.service; "
    "cat /var/spool/postfix/pid/master.pid"
)


@pytest.fixture(scope="module")
def hosts(lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    return lab_factory(INVENTORY)


@pytest.fixture(scope="module")
def inventory(hosts: lab.Lab) -> Path:
    return hosts.inventory_path


def disk(hosts: lab.Lab) -> dict[str, str]:
    """Host and path → inode, mode, owner, size and times, for every file that only a change may touch."""
    entries = {}
    for host in HOSTS:
        for line in run_on(hosts, host, SNAPSHOT).splitlines():
            path, *rest = line.rsplit(" ", 7)
            entries[f"{host}:{path}"] = " ".join(rest)
    return entries


def touched(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def processes(hosts: lab.Lab) -> dict[str, str]:
    """The daemons' main processes and since when they run: a restart changes them."""
    return {host: run_on(hosts, host, PROCESSES) for host in HOSTS}


def edited(inventory: Path, name: str, *changes: tuple[str, str]) -> str:
    """A copy of the lab's inventory beside it, each pattern replaced once; one that does not occur fails the test."""
    text = inventory.read_text()
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text, count=1)
        assert count, f"{pattern} is not in the inventory"
    copy = inventory.with_name(f"{name}.yml")
    copy.write_text(text)
    return str(copy)


Entries = Sequence[tuple[str, str, str]]


def change_zone(hosts: lab.Lab, zone: str, *, add: Entries = (), remove: Entries = ()) -> None:
    """Somebody else edits the zone: a signed UPDATE that does not come from mailprov."""
    secret = (hosts.directory / "secrets" / "tsig").read_text().strip()
    keyring = dns.tsigkeyring.from_text({"mailprov-lab": secret})
    update = dns.update.UpdateMessage(f"{zone}.", keyring=keyring, keyalgorithm="hmac-sha256")
    for name, kind, text in add:
        update.add(name, 3600, kind, text)
    for name, kind, text in remove:
        update.delete(name, kind, text)
    answer = dns.query.tcp(update, name_server(hosts), timeout=60)
    assert answer.rcode() == dns.rcode.NOERROR


def answers(hosts: lab.Lab, name: str, kind: str) -> list[str]:
    answer = dns.query.tcp(dns.message.make_query(name, kind), name_server(hosts), timeout=60)
    return sorted(rdata.to_text() for rrset in answer.answer for rdata in rrset)


def name_server(hosts: lab.Lab) -> str:
    return str(ipaddress.ip_network(hosts.subnet)[2])


def password_lines(hosts: lab.Lab, host: str) -> dict[str, str]:
    lines = run_on(hosts, host, "cat /etc/dovecot/mailprov-users").splitlines()
    return {line.partition(":")[0]: line for line in lines}


def test_plan_on_pristine_hosts_shows_everything_and_writes_nothing(hosts: lab.Lab, inventory: Path) -> None:
    before = disk(hosts)

    result = run("plan", str(inventory), "--exit-code")

    assert result.code == 4, result.stderr
    for host in HOSTS:
        planned = result.changes(host)
        assert ("create", "package", "postfix") in planned
        assert ("create", "file", "/etc/postfix/main.cf") in planned
        assert ("create", "service", "dovecot.service") in planned
    assert ("create", "account", "ana@alpha.test") in result.changes("mx1")
    assert ("create", "record", "alpha.test MX") in result.changes("zone alpha.test")
    assert touched(before, disk(hosts)) == []


def test_no_secret_is_in_the_plan(hosts: lab.Lab, inventory: Path) -> None:
    secrets = [path.read_text().strip() for path in (inventory.parent / "secrets").iterdir()]
    assert len(secrets) >= 5

    result = run("plan", str(inventory))

    shown = str(result.events)
    assert not [secret for secret in secrets if secret in shown]
    assert "PRIVATE KEY" not in shown


def test_first_apply_makes_a_service_that_is_proved(hosts: lab.Lab, inventory: Path) -> None:
    result = run("apply", "--yes", str(inventory))

    bad = [f for f in result.of("found") if f["verdict"] not in ("pass", "skip")]
    assert (result.code, bad) == (0, []), result.events[-1]
    assert [f for f in result.of("found") if f["timed_out"]] == []
    for host in HOSTS:
        assert result.ended(host)["status"] == "ok"
        ports = {f["target"]["port"] for f in result.of("found", id="net.tcp") if f["target"]["host"] == host}
        assert ports == MAIL_PORTS | {4190}
        logins = {
            f["target"]["port"]
            for f in result.of("found", id="auth.bad-password")
            if f["target"]["host"] == host
        }
        assert logins == (MAIL_PORTS | {4190}) - {25}
    paths = {f["target"]["domain"] for f in result.of("found", id="delivery.path")}
    assert paths == {"alpha.test->beta.test", "beta.test->alpha.test"}
    assert {f["target"]["port"] for f in result.of("found", id="delivery.submit")} == {465, 587}
    assert {f["target"]["port"] for f in result.of("found", id="delivery.fetch")} == {993, 143, 995, 110}


def test_each_host_got_the_dovecot_line_it_has_installed(hosts: lab.Lab) -> None:
    assert run_on(hosts, "mx1", "dovecot --version").startswith("2.3.")
    assert run_on(hosts, "mx2", "dovecot --version").startswith("2.4.")
    assert "mail_location" in run_on(hosts, "mx1", "cat /etc/dovecot/dovecot.conf")
    assert "mail_driver" in run_on(hosts, "mx2", "cat /etc/dovecot/dovecot.conf")


def test_a_second_apply_changes_nothing_on_the_host(hosts: lab.Lab, inventory: Path) -> None:
    before, running = disk(hosts), processes(hosts)

    result = run("apply", "--yes", str(inventory))

    assert result.code == 0
    assert all(planned["changes"] == [] for planned in result.of("planned"))
    assert result.of("applied") == []
    assert touched(before, disk(hosts)) == []
    assert processes(hosts) == running


def test_an_alias_is_verified_by_what_it_can_have_touched(hosts: lab.Lab, inventory: Path) -> None:
    """One line says what was left out; --verify-scope full leaves out nothing."""
    copy = edited(
        inventory, "alias", (r"(\n +)postmaster: ana", r"\1compras: luis@beta.test\1postmaster: ana")
    )
    for path, words, small in ((copy, [], True), (str(inventory), ["--verify-scope", "full"], False)):
        result = run("apply", "--yes", *words, path)
        found = result.of("found")
        assert (result.code, [f for f in found if f["verdict"] not in ("pass", "skip")]) == (0, [])
        assert result.of("applied")
        told = [each["text"] for each in result.of("notice") if "--verify-scope full" in each["text"]]
        assert len(told) == small, result.of("notice")
        assert not small or "alpha.test" in told[0]
        assert {f["target"]["account"] for f in found if f["id"] == "address.alias"} >= (
            {"compras@alpha.test"} if small else {"ventas@alpha.test"}
        )
        assert {f["id"].partition(".")[0] for f in found}.isdisjoint({"tls", "dns", "auth"}) == small


def test_one_new_account_touches_only_what_it_must(hosts: lab.Lab, inventory: Path) -> None:
    """The other accounts keep their hashes, no daemon restarts, and the new user can log in and gets mail."""
    (inventory.parent / "secrets" / "nuevo").write_text("nuevo secreto 1\n")
    before = password_lines(hosts, "mx1")
    running = processes(hosts)
    copy = edited(
        inventory, "account", ("accounts:\n", "accounts:\n      nuevo: {password: {file: secrets/nuevo}}\n")
    )

    result = run("apply", "--yes", "--no-verify", copy)

    assert result.code == 0, result.events[-3:]
    assert ("create", "account", "nuevo@alpha.test") in result.changes("mx1")
    assert not [c for c in result.changes("mx1") if c[1] in ("package", "user", "directory", "certificate")]
    assert result.changes("mx2") == []
    after = password_lines(hosts, "mx1")
    assert {user: after[user] for user in before} == before
    assert processes(hosts) == running
    tested = run_on(hosts, "mx1", "doveadm auth test nuevo@alpha.test 'nuevo secreto 1' 2>&1")
    assert "auth succeeded" in tested
    run_on(hosts, "mx1", "printf 'Subject: hola\\n\\nhola\\n' | sendmail nuevo@alfa.test")
    run_on(
        hosts,
        "mx1",
        "for i in $(seq 100); do ls /var/vmail/alpha.test/nuevo/*/new/* 2>/dev/null && exit 0; sleep 0.1; done; exit 1",
    )


def test_a_changed_password_replaces_one_hash(hosts: lab.Lab, inventory: Path) -> None:
    before = password_lines(hosts, "mx1")
    (inventory.parent / "secrets" / "nuevo").write_text("otro secreto 2\n")
    copy = str(inventory.with_name("account.yml"))

    result = run("apply", "--yes", "--no-verify", copy)

    assert result.code == 0
    assert result.changes("mx1") == [("update", "account", "nuevo@alpha.test")]
    assert "otro" not in str(result.events)
    after = password_lines(hosts, "mx1")
    assert [user for user in after if after[user] != before[user]] == ["nuevo@alpha.test"]
    assert "auth succeeded" in run_on(
        hosts, "mx1", "doveadm auth test nuevo@alpha.test 'otro secreto 2' 2>&1"
    )


def test_an_account_that_left_the_inventory_loses_its_login_and_keeps_its_mail(
    hosts: lab.Lab, inventory: Path
) -> None:
    result = run("apply", "--yes", "--no-verify", str(inventory))

    assert result.code == 0
    assert ("delete", "account", "nuevo@alpha.test") in result.changes("mx1")
    assert "nuevo@alpha.test" not in password_lines(hosts, "mx1")
    assert run_on(hosts, "mx1", "ls /var/vmail/alpha.test/nuevo/*/new/*").strip()


def test_a_stopped_daemon_is_seen_by_verify_and_started_by_apply(hosts: lab.Lab, inventory: Path) -> None:
    run_on(hosts, "mx2", "systemctl stop dovecot.service dovecot.socket 2>/dev/null; systemctl stop dovecot")

    red = run("verify", str(inventory), "--host", "mx2", "--probe", "net.tcp")
    assert red.code == 1
    assert {f["target"]["port"] for f in red.of("found", verdict="fail")} == {110, 143, 993, 995}

    healed = run("apply", "--yes", "--no-verify", str(inventory))
    assert healed.code == 0
    assert [c[2] for c in healed.changes("mx2")] == ["dovecot.service"]
    assert run("verify", str(inventory), "--host", "mx2", "--probe", "net.tcp").code == 0


def test_services_that_are_off_are_proved_closed_and_a_rollback_brings_them_back(
    hosts: lab.Lab, inventory: Path
) -> None:
    """A session that is open meanwhile must not keep Postfix from answering (Debian 13 cannot end it by a reload)."""
    off = inventory.with_name("services-off.yml")
    off.write_text(f"services: [imaps, imap, submissions]\n{inventory.read_text()}")
    names, closed = ("mx1", "mx2"), {110, 587, 995, 4190}

    def listening(name: str) -> set[int]:
        words = run_on(hosts, name, "ss -Hltn").splitlines()
        return {int(line.split()[3].rpartition(":")[2]) for line in words}

    with socket.create_connection((hosts.host("mx2").address, 587), timeout=120) as session:
        assert session.recv(100).startswith(b"220")
        done = run("apply", "--yes", "--no-verify", str(off))
    assert done.code == 0
    assert all(listening(name).isdisjoint(closed) for name in names)
    green = run("verify", str(off), "--probe", "net.", "--probe", "smtp.banner")
    assert green.code == 0
    proved = {(f["target"]["host"], f["target"]["port"]) for f in green.of("found", id="net.closed")}
    assert proved == {(name, port) for name in names for port in closed}

    run_on(hosts, "mx1", "systemd-run --quiet --unit stray python3 -m http.server 110")
    try:
        wait_until(lambda: 110 in listening("mx1"), "a program on port 110")
        red = run("verify", str(off), "--host", "mx1", "--probe", "net.closed")
    finally:
        run_on(hosts, "mx1", "systemctl stop stray")
    assert red.code == 1
    assert {f["target"]["port"] for f in red.of("found", verdict="fail")} == {110}

    assert run("rollback", "--yes", str(off)).code == 0
    assert all(closed <= listening(name) for name in names)
    assert run("verify", str(inventory), "--probe", "net.").code == 0


def test_verify_goes_red_on_an_open_relay_and_names_it(hosts: lab.Lab, inventory: Path) -> None:
    run_on(
        hosts,
        "mx1",
        "postconf -e mynetworks=0.0.0.0/0,[::]/0 smtpd_recipient_restrictions=; systemctl restart postfix",
    )
    try:
        red = run("verify", str(inventory), "--host", "mx1", "--probe", "relay")
        assert red.code == 1
        assert 25 in {f["target"]["port"] for f in red.of("found", id="relay.classic", verdict="fail")}
    finally:
        healed = run("apply", "--yes", "--no-verify", "--accept-drift", str(inventory))
    assert ("update", "file", "/etc/postfix/main.cf") in healed.changes("mx1")
    assert run("verify", str(inventory), "--host", "mx1", "--probe", "relay").code == 0


def test_a_configuration_that_the_daemon_refuses_is_put_back(hosts: lab.Lab, inventory: Path) -> None:
    """Local settings with a mistake make Dovecot's own check fail; the host must go on serving as before."""
    running = processes(hosts)
    users = password_lines(hosts, "mx1")
    run_on(hosts, "mx1", "echo 'this_is_no_setting = yes' >> /etc/dovecot/local.conf")
    config = run_on(hosts, "mx1", "cat /etc/dovecot/dovecot.conf")
    try:
        result = run("apply", "--yes", "--no-verify", str(inventory))

        assert result.code == 1
        assert result.ended("mx1")["status"] == "failed"
        assert "this_is_no_setting" in result.ended("mx1")["error"] + "".join(result.ended("mx1")["output"])
        assert run_on(hosts, "mx1", "cat /etc/dovecot/dovecot.conf") == config
        assert password_lines(hosts, "mx1") == users
        assert processes(hosts) == running
    finally:
        run_on(hosts, "mx1", "rm -f /etc/dovecot/local.conf")
    assert run("apply", "--yes", "--no-verify", str(inventory)).code == 0
    assert run("apply", "--yes", str(inventory)).of("applied") == []


def test_foreign_records_stay_byte_for_byte(hosts: lab.Lab, inventory: Path) -> None:
    verification = '"google-site-verification=x;y" "second  part"'
    change_zone(
        hosts, "beta.test", add=[("beta.test.", "TXT", verification), ("www.beta.test.", "A", "192.0.2.80")]
    )
    copy = edited(inventory, "ttl", (r"ttl: 3600", "ttl: 1800"))

    result = run("apply", "--yes", "--no-verify", copy)

    assert result.code == 0, result.events[-3:]
    assert ("update", "record", "beta.test MX") in result.changes("zone beta.test")
    assert verification in answers(hosts, "beta.test", "TXT")
    assert answers(hosts, "www.beta.test", "A") == ["192.0.2.80"]
    assert run("apply", "--yes", "--no-verify", str(inventory)).code == 0


def test_a_foreign_mx_is_not_replaced_unasked_and_nothing_else_is_touched(
    hosts: lab.Lab, inventory: Path
) -> None:
    foreign = ("beta.test.", "MX", "5 elsewhere.example.")
    change_zone(hosts, "beta.test", add=[foreign])
    copy = edited(inventory, "foreign-mx", ("ventas:", "compras:"))
    try:
        result = run("apply", "--yes", "--no-verify", copy)

        assert result.code == 1
        assert "elsewhere.example" in result.ended("dns")["error"]
        assert "--take-over" in result.ended("dns")["error"]
        assert result.of("applied") == []
        assert "5 elsewhere.example." in answers(hosts, "beta.test", "MX")

        taken = run("apply", "--yes", "--no-verify", "--take-over", "--only", "dns", str(inventory))
        assert taken.code == 0, taken.events[-3:]
        assert answers(hosts, "beta.test", "MX") == ["10 mx2.beta.test."]
    finally:
        change_zone(hosts, "beta.test", remove=[foreign])


def test_mail_hosts_and_senders_of_others_are_published_proved_and_rolled_back(
    hosts: lab.Lab, inventory: Path
) -> None:
    others = [
        ("backup.alpha.test.", "A", "192.0.2.9"),
        ("_spf.alpha.test.", "TXT", '"v=spf1 ip4:192.0.2.9 -all"'),
    ]
    keys = "mx: [{host: backup.alpha.test, preference: 5}]\n    spf: {include: [_spf.alpha.test], all: soft}"
    copy = edited(inventory, "others", (r"domain_aliases:", rf"{keys}\n    domain_aliases:"))
    before = answers(hosts, "alpha.test", "MX"), answers(hosts, "alpha.test", "TXT")
    change_zone(hosts, "alpha.test", add=others)
    try:
        plan = run("plan", copy)
        assert {change[2] for change in plan.changes("zone alpha.test")} >= {
            "alpha.test MX",
            "alpha.test TXT",
        }
        assert plan.changes("mx1") == plan.changes("mx2") == []

        assert run("apply", "--yes", "--no-verify", copy).code == 0
        assert answers(hosts, "alpha.test", "MX") == ["10 mx1.alpha.test.", "5 backup.alpha.test."]
        spf = '"v=spf1 a:mx1.alpha.test include:_spf.alpha.test ~all"'
        assert spf in answers(hosts, "alpha.test", "TXT")
        seen = run("verify", copy, "--probe", "dns.mx", "--probe", "dns.spf")
        assert seen.code == 0, seen.of("found")
        # A stranger that the included record lets pass: the evaluation really goes there.
        change_zone(
            hosts, "alpha.test", add=[("_spf.alpha.test.", "TXT", '"v=spf1 +all"')], remove=others[1:]
        )
        seen = run("verify", copy, "--probe", "dns.spf")
        assert "fail" in {found["verdict"] for found in seen.of("found", id="dns.spf")}

        assert run("rollback", "--yes", copy).code == 0
        assert (answers(hosts, "alpha.test", "MX"), answers(hosts, "alpha.test", "TXT")) == before
    finally:
        change_zone(hosts, "alpha.test", remove=[*others, ("_spf.alpha.test.", "TXT", '"v=spf1 +all"')])


def test_a_self_signed_certificate_is_made_once_and_said_to_be_one(hosts: lab.Lab, inventory: Path) -> None:
    copy = edited(
        inventory, "selfsigned", (r"(?s)(mx2:.*?)tls:\n.*?ca\.pem\n", "\\1tls: {mode: self-signed}\n")
    )

    made = run("apply", "--yes", "--no-verify", copy)
    assert made.code == 0, made.events[-3:]
    assert [c for c in made.changes("mx2") if c[1] == "certificate"]

    again = run("apply", "--yes", "--no-verify", copy)
    assert again.of("applied") == []

    seen = run("verify", copy, "--host", "mx2", "--probe", "tls.")
    assert seen.code == 0
    assert {f["verdict"] for f in seen.of("found", id="tls.chain")} == {"warn"}
    assert {f["verdict"] for f in seen.of("found", id="tls.name")} == {"pass"}
    assert run("verify", copy, "--host", "mx2", "--probe", "tls.", "--fail-on", "warn").code == 4
    assert run("apply", "--yes", "--no-verify", str(inventory)).code == 0


def test_one_host_that_is_down_stops_no_other_and_is_named(hosts: lab.Lab, inventory: Path) -> None:
    copy = edited(
        inventory,
        "down",
        (r"(?s)(mx2:\n +address: )[0-9.]+", rf"\g<1>{ipaddress.ip_network(hosts.subnet)[99]}"),
        ("ventas:", "compras:"),
    )

    result = run("apply", "--yes", "--no-verify", copy)

    assert result.code == 3
    assert result.ended("mx1")["status"] == "ok"
    assert result.ended("mx1")["changed"] >= 1
    assert result.ended("mx2")["status"] == "unreachable"
    assert "mx2" in result.events[-1]["summary"]
    assert run("apply", "--yes", "--no-verify", str(inventory)).code == 0
