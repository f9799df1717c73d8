"""Hosts with webmail, and the webmail as a program sees it: HTTP with cookies, from any address of this machine.

INVENTORY           a host for each release, each with a domain; `domains(releases)` has them
provisioned(…)      such hosts, applied; MAILPROV_USERS_LAB names a lab that is up instead, for work on the tests
Site                one domain's webmail: .name .address .host .domain; .password(user), .web(source), .imap(user)
Web                 a client: .get(path) .post(path, fields) .login(user, password) -> Answer
own_addresses(lab)  more addresses of this machine in the lab's networks, for who must be somebody else
"""

from __future__ import annotations

import http.client
import http.cookies
import imaplib
import ipaddress
import os
import re
import socket
import ssl
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from mailprov import lab
from tests.lab.program import run

NAMES = {"debian-12": ("mx1", "alpha.test"), "debian-13": ("mx2", "beta.test")}
PATIENCE = 120
_HOST = "  {host}: {{address: 192.0.2.{number}, fqdn: {host}.{domain}, lab: {{release: {release}}}}}\n"
_DOMAIN = """\
  {domain}:
    hosts: [{host}]
    webmail: roundcube
    accounts:
      ana: {{password: {{env: ANA}}}}
      luis: {{password: {{env: LUIS}}}}
      zoe: {{password: {{env: ZOE}}}}
      eva: {{password: {{initial: {{env: EVA}}, owner: user}}}}
"""


def inventory(releases: Sequence[str], ignored: str = "") -> str:
    """`ignored`: whom fail2ban never bans. All have it, so that all hosts have the same packages, which are kept."""
    known = [(release, *NAMES[release]) for release in releases]
    hosts = [
        _HOST.format(release=release, host=host, domain=domain, number=number)
        for number, (release, host, domain) in enumerate(known, 1)
    ]
    domains = [_DOMAIN.format(host=host, domain=domain) for _, host, domain in known]
    fail2ban = f"fail2ban: {{ignore: [{ignored}]}}\n"
    return f"filter: none\nweb: true\n{fail2ban}hosts:\n{''.join(hosts)}domains:\n{''.join(domains)}"


def provisioned(factory: Callable[[str], lab.Lab], text: str) -> lab.Lab:
    if name := os.environ.get("MAILPROV_USERS_LAB"):
        return lab.load(name)
    made = factory(text)
    done = run("apply", "--yes", "--no-verify", "--only", "hosts", str(made.inventory_path), timeout=540)
    assert done.code == 0, (done.stderr, done.events[-3:])
    return made


class Answer(NamedTuple):
    status: int
    text: str
    location: str
    headers: http.client.HTTPMessage

    @property
    def said(self) -> str:
        """What Roundcube shows in its corner."""
        return " ".join(re.findall(r'display_message\("([^"]*)"', self.text))


class Site:
    def __init__(self, where: lab.Lab, release: str) -> None:
        self.lab, self.release = where, release
        self.host, self.domain = NAMES[release]
        self.address = where.host(self.host).address
        self.name = f"webmail.{self.domain}"

    @property
    def address6(self) -> str:
        net, net6 = ipaddress.ip_network(self.lab.subnet), ipaddress.ip_network(self.lab.subnet6)
        return str(net6[int(ipaddress.ip_address(self.address)) - int(net.network_address)])

    def password(self, user: str) -> str:
        return (self.lab.directory / "secrets" / f"{user}@{self.domain}").read_text().strip()

    def web(self, source: str = "") -> Web:
        return Web(self, source)

    def imap(self, user: str, source: str = "", password: str = "") -> imaplib.IMAP4_SSL:
        address = self.address6 if ":" in source else self.address
        context = ssl.create_default_context(cafile=str(self.lab.ca_file))
        context.check_hostname = False  # by its address

        class Client(imaplib.IMAP4_SSL):
            def _create_socket(self, timeout: float | None) -> socket.socket:
                plain = socket.create_connection((address, 993), timeout, (source, 0) if source else None)
                return context.wrap_socket(plain)

        client = Client(address, ssl_context=context, timeout=PATIENCE)
        client.login(f"{user}@{self.domain}", password or self.password(user))
        return client


class Web:
    """One browser's cookies. `source`: the address of this machine that it comes from."""

    def __init__(self, site: Site, source: str = "") -> None:
        self.site, self.source = site, source
        self.cookies: dict[str, str] = {}
        self._context = ssl.create_default_context(cafile=str(site.lab.ca_file))

    def ask(
        self,
        method: str,
        path: str,
        body: str | bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Raises OSError where nobody answers."""
        where = (self.site.address6 if ":" in self.source else self.site.address, 443)
        connection = http.client.HTTPSConnection(self.site.name, timeout=PATIENCE)
        plain = socket.create_connection(where, PATIENCE, (self.source, 0) if self.source else None)
        try:
            connection.sock = self._context.wrap_socket(plain, server_hostname=self.site.name)
            cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            told = {**({"Cookie": cookies} if cookies else {}), **(headers or {})}
            connection.putrequest(method, path, skip_accept_encoding=True)
            if body is not None:
                body = body.encode() if isinstance(body, str) else body
                told = {
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Content-Length": str(len(body)),
                    **told,
                }
            for name, value in told.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
            for line in answer.headers.get_all("Set-Cookie") or ():
                for name, morsel in http.cookies.SimpleCookie(line).items():
                    self.cookies[name] = morsel.value
            return Answer(answer.status, text, answer.headers.get("Location", ""), answer.headers)
        except http.client.HTTPException as error:
            raise ConnectionError(repr(error)) from None
        finally:
            connection.close()
            plain.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, fields: dict[str, str], headers: dict[str, str] | None = None) -> Answer:
        return self.ask("POST", path, urllib.parse.urlencode(fields), headers)

    def form(self) -> dict[str, str]:
        """The fields of the login form, with this session's token."""
        page = self.get("/")
        found = re.search(r'name="_token" value="([^"]+)"', page.text)
        assert found, (page.status, page.text[:300])
        fixed = {"_task": "login", "_action": "login", "_timezone": "_default_", "_url": ""}
        return {"_token": found.group(1), **fixed}

    def login(
        self, user: str, password: str, path: str = "/?_task=login", headers: dict[str, str] | None = None
    ) -> Answer:
        return self.post(path, {**self.form(), "_user": user, "_pass": password}, headers)


@contextmanager
def own_addresses(where: lab.Lab, count: int = 2) -> Iterator[list[tuple[str, str]]]:
    """(IPv4, IPv6) each, on the lab's own interface."""
    nets = [ipaddress.ip_network(net) for net in (where.subnet, where.subnet6)]
    shown = subprocess.run(["ip", "-o", "addr"], check=True, capture_output=True, text=True).stdout
    device = next(line.split()[1] for line in shown.splitlines() if f" {nets[0][1]}/" in line)
    made = [(str(nets[0][201 + number]), str(nets[1][201 + number])) for number in range(count)]
    try:
        for old, new in made:
            subprocess.run(["ip", "addr", "replace", f"{old}/32", "dev", device], check=True)
            subprocess.run(["ip", "addr", "replace", f"{new}/128", "dev", device, "nodad"], check=True)
        yield made
    finally:
        for each in (f"{old}/32" for old, _ in made):
            subprocess.run(["ip", "addr", "del", each, "dev", device], check=False, capture_output=True)
        for each in (f"{new}/128" for _, new in made):
            subprocess.run(["ip", "addr", "del", each, "dev", device], check=False, capture_output=True)
