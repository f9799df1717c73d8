"""The web corner of real hosts, asked as mail programs ask: it comes, serves, gives way to others, and goes.

Debian 12 and 13 (1.22 and 1.26 of nginx), each with a domain; mx1 has two with one `mail_name`. The tests build on
each other in their order.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import imaplib
import resource
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from mailprov import lab
from mailprov.client import reading
from mailprov.client.autoconfig import autoconfig
from mailprov.client.autodiscover import autodiscover
from mailprov.client.mobileconfig import mobileconfig
from mailprov.client.pacc import wanted
from mailprov.client.settings import of_domain
from mailprov.inventory import SecretMode, load
from mailprov.model import pacc
from mailprov.model.inventory import Inventory
from tests.lab import post
from tests.lab.labs import run_on, wait_until
from tests.lab.matrix import address
from tests.lab.program import Result, run

INVENTORY = """\
filter: none
web: true
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-13}}
domains:
  alpha.test: {hosts: [mx1], mail_name: mail.alpha.test, accounts: {ana: {password: {env: ANA}}}}
  gamma.test: {hosts: [mx1], mail_name: mail.alpha.test, accounts: {zoe: {password: {env: ZOE}}}}
  beta.test: {hosts: [mx2], domain_aliases: [betta.test], accounts: {eva: {password: {env: EVA}}}}
"""
HOSTS = {"mx1": ("alpha.test", "gamma.test"), "mx2": ("beta.test",)}
NAMES = {"mx1": "mail.alpha.test", "mx2": "mx2.beta.test"}
# Neither changed by us nor read: what Debian has put there.
DEBIANS = "dpkg -V nginx-common; ls /etc/nginx/sites-enabled /etc/nginx/conf.d"


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    made = ready_lab_factory(INVENTORY)
    first = apply(made.inventory_path)
    assert first.code == 0, (first.stderr, first.events[-3:])
    return made


@pytest.fixture(scope="module")
def meant(hosts: lab.Lab) -> Inventory:
    return load(hosts.inventory_path, SecretMode.IGNORE)


def apply(inventory: Path, *more: str) -> Result:
    """Hosts only: records are not what this is about."""
    return run("apply", "--yes", "--no-verify", "--only", "hosts", *more, str(inventory), timeout=540)


def without(hosts: lab.Lab) -> Path:
    path = hosts.inventory_path.with_name("without-web.yml")
    text = hosts.inventory_path.read_text().replace("    web: true\n", "")
    path.write_text(text.replace("    webmail: roundcube\n", ""))
    return path


class Answer:
    """What one request got; `status` is 0 where the connection ended without an answer."""

    def __init__(
        self,
        address: str,
        url: str,
        method: str = "GET",
        host: str | None = "",
        path: str = "",
        headers: dict[str, str] | None = None,
        body: bytes = b"<Autodiscover/>",
    ) -> None:
        scheme, _, rest = url.partition("://")
        name, _, told = rest.partition("/")
        kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
        connection = kind(name, timeout=60)
        plain = socket.create_connection((address, 443 if scheme == "https" else 80), timeout=60)
        # As of today no certificate has the names below a domain: what is compared is what is served.
        unproved = ssl._create_unverified_context()
        connection.sock = unproved.wrap_socket(plain, server_hostname=name) if scheme == "https" else plain
        try:
            connection.putrequest(method, path or f"/{told}", skip_host=True, skip_accept_encoding=True)
            if host is not None:
                connection.putheader("Host", host or name)
            for key, value in (headers or {}).items():
                connection.putheader(key, value)
            body = body if method in ("POST", "PUT") else b""
            if body:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            self.status, self.body = answer.status, answer.read().decode()
            self.type, self.location = answer.headers.get_content_type(), answer.headers.get("Location", "")
        except (ConnectionError, ssl.SSLError):  # RemoteDisconnected is one
            self.status, self.body, self.type, self.location = 0, "", "", ""
        finally:
            connection.close()


def test_each_file_is_served_as_programs_ask_for_it(hosts: lab.Lab, meant: Inventory) -> None:
    for host, domains in HOSTS.items():
        at = address(hosts, host)
        for name in domains:
            settings = of_domain(meant, next(each for each in meant.domains if each.name == name))
            first, well_known = "mail/config-v1.1.xml", ".well-known/autoconfig/mail/config-v1.1.xml"
            for url in (f"autoconfig.{name}/{first}?emailaddress=ana%40{name}", f"{name}/{well_known}"):
                for scheme in ("http", "https"):
                    got = Answer(at, f"{scheme}://{url}")
                    assert (got.status, got.type) == (200, "text/xml"), url
                    assert got.body == autoconfig(settings)
            for path in (
                "autodiscover/autodiscover.xml",
                "Autodiscover/Autodiscover.xml",
                "AutoDiscover/AutoDiscover.xml",
            ):
                for where in (f"autodiscover.{name}", name, NAMES[host]):
                    for method in ("GET", "POST"):
                        got = Answer(at, f"https://{where}/{path}", method)
                        assert (got.status, got.type) == (200, "text/xml"), (method, where, path)
                        assert got.body == autodiscover(settings)
            got = Answer(at, f"https://autoconfig.{name}/mail.mobileconfig")
            assert (got.status, got.type) == (200, "application/x-apple-aspen-config")
            assert got.body == mobileconfig(settings)
            got = Answer(at, f"http://autodiscover.{name}/autodiscover/autodiscover.xml?a=b")
            assert (got.status, got.location) == (
                301,
                f"https://autodiscover.{name}/autodiscover/autodiscover.xml?a=b",
            )
            got = Answer(at, pacc.url(name))
            assert (got.status, got.type) == (200, pacc.KIND)
            assert got.body == wanted(meant, next(each for each in meant.domains if each.name == name))
        # Which file was fetched, but not for whom.
        log = run_on(hosts, host, "journalctl -t nginx --no-pager -o cat")
        assert f'"GET http://autoconfig.{domains[0]}/mail/config-v1.1.xml" 200' in log
        assert "ana" not in log
        assert " 301 " not in log


def test_who_has_an_address_at_a_domain_alias_logs_in_as_the_account(
    hosts: lab.Lab, meant: Inventory
) -> None:
    """By what the files of the alias say; by the address itself nobody gets in."""
    at, password = address(hosts, "mx2"), post.password(hosts, "eva@beta.test")
    file = Answer(at, "http://autoconfig.betta.test/mail/config-v1.1.xml").body.encode()
    answer = Answer(at, "https://autodiscover.betta.test/autodiscover/autodiscover.xml", "POST").body.encode()
    said = reading.of_autoconfig(file, "eva@betta.test") + reading.of_autodiscover(answer, "eva@betta.test")
    assert {server.user for server in said} == {"eva@beta.test"}
    for user, accepted in (("eva@beta.test", True), ("eva@betta.test", False)):
        with imaplib.IMAP4_SSL(at, 993, ssl_context=ssl._create_unverified_context(), timeout=120) as client:
            if accepted:
                assert client.login(user, password)[0] == "OK"
            else:
                with pytest.raises(imaplib.IMAP4.error):
                    client.login(user, password)


def test_what_an_authority_asks_for_is_served_on_port_80(hosts: lab.Lab) -> None:
    folder = "/var/lib/mailprov-web/.well-known/acme-challenge"
    for host, domains in HOSTS.items():
        run_on(hosts, host, f"mkdir -p {folder}; echo token.thumb >{folder}/token")
        for name in (NAMES[host], f"autoconfig.{domains[0]}", domains[0]):
            got = Answer(address(hosts, host), f"http://{name}/.well-known/acme-challenge/token")
            assert (got.status, got.body) == (200, "token.thumb\n")
        run_on(hosts, host, f"rm -r {folder}")


def test_strangers_names_and_paths_get_nothing(hosts: lab.Lab) -> None:
    for host, (name, *_) in HOSTS.items():
        at, secret = address(hosts, host), "/mail/config-v1.1.xml"
        for scheme in ("http", "https"):
            url = f"{scheme}://autoconfig.{name}"
            for stranger in ("evil.test", at, "localhost", f"evil.{name}", f"autoconfig.{name}.evil.test"):
                assert Answer(at, url, host=stranger, path=secret).status == 0, stranger
            for broken in ("../../etc", "a/b", "x\x00y", "[::1", f"{name}/.."):
                assert Answer(at, url, host=broken, path=secret).status in (0, 400), broken
            assert Answer(at, url, host=None, path=secret).status in (0, 400)
            for path in (
                "/../nginx.conf",
                "/../../../../etc/passwd",
                "/%2e%2e/%2e%2e/nginx.conf",
                "/mail/../../nginx.conf",
                "/mail/..%2f..%2fnginx.conf",
                "/.well-known/acme-challenge/../../../../etc/passwd",
                "/.well-known/acme-challenge/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
                "/.well-known/acme-challenge/",
                "/config-v1.1.xml",
                "//etc/passwd",
            ):
                got = Answer(at, url, path=path)
                assert got.status in (301, 400, 403, 404), path
                assert "root:" not in got.body
                assert "worker_processes" not in got.body
                assert got.status != 301 or got.location.startswith(f"https://autoconfig.{name}/"), path
        for method in ("PUT", "DELETE", "PROPFIND"):
            assert Answer(at, f"https://autoconfig.{name}{secret}", method).status in (403, 405)


def test_what_is_too_large_is_refused(hosts: lab.Lab) -> None:
    """Refused, or hung up on while it is still being sent (0)."""
    for host, (name, *_) in HOSTS.items():
        at, file = address(hosts, host), "mail/config-v1.1.xml"
        for scheme in ("http", "https"):
            url = f"{scheme}://autoconfig.{name}/{file}"
            assert Answer(at, url, path=f"/{'a' * 65_536}").status in (0, 414)
            assert Answer(at, url, headers={"X-Long": "a" * 65_536}).status in (0, 400)
            assert Answer(at, url, headers={f"X-{n}": "a" * 1_000 for n in range(500)}).status in (0, 400)
            assert Answer(at, url, host="a" * 65_536).status in (0, 400)
            assert Answer(at, url).status == 200
        asked = f"https://autodiscover.{name}/autodiscover/autodiscover.xml"
        assert Answer(at, asked, "POST", body=b"<" * 1_048_576).status in (0, 413)
        assert Answer(at, asked, "POST").status == 200


def test_mail_is_taken_while_thousands_ask_for_files(hosts: lab.Lab) -> None:
    """More connections than nginx takes, all at once: mail greets as ever, and then the web answers again."""
    at = address(hosts, "mx1")
    count = min(3000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
    with contextlib.ExitStack() as stack:
        for number in range(count):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            assert one.connect_ex((at, (80, 443)[number % 2])) in (0, errno.EINPROGRESS)
            with contextlib.suppress(OSError):
                one.send(b"GET / HTTP/1.1\r\n")
        for port, greeting in ((25, b"220"), (993, b""), (143, b"* OK"), (110, b"+OK")):
            with socket.create_connection((at, port), timeout=120) as mail:
                assert not greeting or mail.recv(400).startswith(greeting), port
    wait_until(
        lambda: Answer(at, "http://autoconfig.alpha.test/mail/config-v1.1.xml").status == 200,
        "the web corner answers again",
        timeout=120,
    )


def test_a_second_apply_changes_nothing_and_the_package_is_as_it_came(hosts: lab.Lab) -> None:
    again = run("plan", "--exit-code", "--only", "hosts", str(hosts.inventory_path))
    assert again.code == 0, again.events[-3:]
    for host in HOSTS:
        assert run_on(hosts, host, DEBIANS).split() == [
            "/etc/nginx/conf.d:",
            "/etc/nginx/sites-enabled:",
            "default",
        ]


def test_it_leaves_with_its_key(hosts: lab.Lab) -> None:
    done = apply(without(hosts))
    assert done.code == 0, (done.stderr, done.events[-3:])
    for host in HOSTS:
        assert run_on(hosts, host, "systemctl is-enabled nginx; true").strip() == "disabled"
        left = "find /etc/mailprov/web /etc/systemd/system/nginx.service.d ! -type d"
        assert run_on(hosts, host, f"{left} 2>/dev/null; true") == ""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address(hosts, host), 80), timeout=60)


def test_where_another_server_is_none_is_set_up_and_the_plan_says_so(hosts: lab.Lab) -> None:
    """One that listens, and one that only starts at boot: Debian's own nginx, as somebody may have set it up."""
    run_on(hosts, "mx1", "systemd-run --unit=foreign python3 -m http.server 80")
    run_on(hosts, "mx2", "systemctl enable nginx")
    wait_until(lambda: run_on(hosts, "mx1", "ss -Hltn 'sport = :80'"), "the other server listens")
    plan = run("plan", "--exit-code", "--only", "hosts", str(hosts.inventory_path))
    assert plan.code == 0, plan.events[-3:]
    told = {notice["subject"]: notice["text"] for notice in plan.of("notice") if "web:" in notice["text"]}
    assert told["mx1"].startswith("web: not set up, for another server is there (python3 on port 80), ")
    assert told["mx2"].startswith(
        "web: not set up, for another server starts when this host boots (nginx.service), "
    )
    done = apply(hosts.inventory_path)
    assert done.code == 0, (done.stderr, done.events[-3:])
    assert "<title>Directory listing" in Answer(address(hosts, "mx1"), "http://anything.test/").body
    run_on(hosts, "mx1", "systemctl stop foreign")
    run_on(hosts, "mx2", "systemctl disable nginx")


def test_a_rollback_brings_it_back(hosts: lab.Lab) -> None:
    done = run("rollback", "--yes", str(without(hosts)), timeout=540)
    assert done.code == 0, (done.stderr, done.events[-3:])
    for host, (name, *_) in HOSTS.items():
        assert Answer(address(hosts, host), f"http://autoconfig.{name}/mail/config-v1.1.xml").status == 200
