"""The questions of `mailprov init`, one at a time, each explained in a line and checked at once.

    answers(given, ask) -> Answers

`given` holds what flags said (None: nothing); that is not asked again. With `ask` a wrong answer is told and asked
again, and the host is tried: its name, its host key, a login. Without, defaults are taken and nobody is contacted.
Raises InputError for a wrong flag, KeyboardInterrupt for Ctrl-C and the end of the input.
"""

from __future__ import annotations

import ipaddress
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import typer

from mailprov.cli.first_inventory import Answers, text
from mailprov.cli.streams import print_text
from mailprov.dns import providers
from mailprov.errors import InputError, MailprovError
from mailprov.i18n import _, ngettext
from mailprov.model.hostnames import inside
from mailprov.schema import names
from mailprov.schema.names import BadName

Check = Callable[[str], str]


def answers(given: Mapping[str, str | None], *, ask: bool) -> Answers:
    one = _Asking(given) if ask else _Taking(given)
    one.begin()
    domain = one.value("domain", _("Mail domain"), _domain, _("The part after the @ in your addresses."))
    dns = one.dns(domain)
    fqdn = one.value(
        "fqdn",
        _("Host's full name"),
        _fqdn,
        _("The mail host's name for others: in HELO, in its certificate, and as the MX of the domain."),
        f"mx1.{domain}",
    )
    host_zone = one.host_zone(fqdn, domain, dns)
    place, user, known = one.login(domain, fqdn)
    address, port = _parted(place)
    certificates = one.value(
        "certificates",
        _("Certificates (self-signed, acme)"),
        _one_of("self-signed", "acme"),
        _(
            "acme: from Let's Encrypt, which must reach port 80 of the host by its name. self-signed: programs warn."
        ),
        "acme" if ask and _public(domain, address) else "self-signed",
    )
    email = ""
    if certificates == "acme":
        email = one.value(
            "email",
            _("Mail address for Let's Encrypt"),
            names.address,
            _("Where the authority sends mail about problems with a certificate."),
            f"postmaster@{domain}",
        )
    chosen = one.value(
        "filter",
        _("Filter (rspamd, none)"),
        _one_of("rspamd", "none"),
        _(
            "rspamd: checks what arrives, spam goes to Junk; takes about 250 MB of memory. none: everything arrives."
        ),
        "rspamd",
    )
    webmail = one.value(
        "webmail",
        _("Webmail (roundcube, none)"),
        _one_of("roundcube", "none"),
        _(
            "roundcube: users read mail in a browser as well, at {url}; about 60 packages more on the host. none: with "
            "mail programs alone."
        ).format(url=f"https://webmail.{domain}/"),
        "none",
    )
    accounts = one.value(
        "accounts",
        _("Mailboxes, with commas between"),
        _accounts,
        _("The names before the @. The first one also gets the mail for postmaster and abuse."),
        "postmaster",
    )
    probe = one.value(
        "probe",
        _("Account for tests (a name, or none)"),
        _of_tests(accounts),
        _(
            "A small mailbox that nobody uses: verify proves there that a full one is refused and that POP deletes "
            "only what it is told to."
        ),
        "none" if not ask or "probe" in accounts.split(",") else "probe",
    )
    passwords = one.value(
        "passwords",
        _("Passwords (file, env)"),
        _one_of("file", "env"),
        _(
            "file: made up now, in secrets/ beside the inventory, for you alone. env: from variables that you set."
        ),
        "file",
    )
    return Answers(
        domain,
        fqdn,
        address,
        user,
        int(port or 22),
        certificates,
        email,
        chosen,
        webmail,
        tuple(accounts.split(",")),
        passwords,
        probe,
        dns,
        known,
        host_zone,
    )


class _Taking:
    """Flags and defaults."""

    def __init__(self, given: Mapping[str, str | None]) -> None:
        self.given = given

    def begin(self) -> None:
        missing = [f"--{name}" for name in ("domain", "address") if self.given[name] is None]
        if missing:
            options = _(" and ").join(missing)
            what = ngettext(
                "{options} is missing and there is no terminal to ask on",
                "{options} are missing and there is no terminal to ask on",
                len(missing),
            )
            advice = _("Give {options}")
            raise InputError("init", what.format(options=options), advice.format(options=options))

    def value(self, name: str, question: str, check: Check, why: str, default: str = "") -> str:
        given = self.given[name]
        return _flag(name, default if given is None else given, check)

    def dns(self, domain: str) -> str:
        """The provider that has the domain's zone, if the names of its name servers tell; else nothing."""
        if _flag("dns", self.given["dns"] or "none", _one_of("auto", "none")) == "none":
            return ""
        from mailprov.cli.name_servers import provider_of

        found = provider_of(domain)
        return found.name if found else ""

    def host_zone(self, fqdn: str, domain: str, dns: str) -> tuple[str, str]:
        """The zone of the host's name and its provider, where that is another one than the domain's."""
        if not dns or inside(fqdn, domain):
            return "", ""
        from mailprov.cli.name_servers import provider_of, zone_of

        found, zone = provider_of(fqdn), zone_of(fqdn)
        return (zone, found.name) if found and zone and found.name != dns else ("", "")

    def login(self, domain: str, fqdn: str) -> tuple[str, str, bool]:
        user = self.given["user"] or "root"
        return (
            _flag("address", self.given["address"] or "", _place),
            _flag("user", user, _user),
            False,
        )


class _Asking(_Taking):
    def begin(self) -> None:
        print_text(
            _(
                "One question at a time. Enter accepts the value in brackets; Ctrl-C stops, and no file is written."
            )
        )

    def value(self, name: str, question: str, check: Check, why: str, default: str = "") -> str:
        given = self.given[name]
        if given is not None:
            return _flag(name, given, check)
        print_text(f"\n{why}", indent=0)
        while True:
            answer = _read(question, default)
            try:
                return check(answer)
            except BadName as error:
                print_text(f'  "{answer}" {error}.')

    def dns(self, domain: str) -> str:
        if self.given["dns"] is None:
            self.given = {**self.given, "dns": "auto"}
        found = super().dns(domain)
        if found:
            words = _(
                "  Its zone is at {provider}: what mailprov needs there stands in the file, commented out."
            )
            print_text(words.format(provider=_(providers.named(found).title)))
        return found

    def login(self, domain: str, fqdn: str) -> tuple[str, str, bool]:
        """Until a login works, or the user keeps what does not work yet."""
        while True:
            address = self.value(
                "address",
                _("Address for SSH"),
                _place,
                _(
                    "What mailprov connects to over SSH: an IP address or a name, with :PORT behind it where that is "
                    "not 22. ~/.ssh/config counts."
                ),
                fqdn,
            )
            user = self.value(
                "user",
                _("SSH user"),
                _user,
                _("Who logs in there, with a key: root, or a user who may use sudo."),
                "root",
            )
            host, port = _parted(address)
            error, known = _tried(Answers(domain, fqdn, host, user, int(port or 22)))
            if not error:
                return address, user, known
            print_text(f"  {error}")
            # Flags stay as they are: there is nothing to ask again.
            if (self.given["address"] and self.given["user"]) or _yes(_("Keep it anyway and continue?")):
                return address, user, known


def _tried(wanted: Answers) -> tuple[str, bool]:
    """What stands in the way of a login, or nothing; and whether the host's key is known."""
    from mailprov.cli.reports import Reports
    from mailprov.cli.trust import Trusting
    from mailprov.inventory import SecretMode, load
    from mailprov.model.events import Ended, Event
    from mailprov.run.history import history
    from mailprov.run.select import select
    from mailprov.transport.connections import Connections

    with tempfile.TemporaryDirectory(prefix="mailprov-init-") as folder:
        path = Path(folder) / "mail.yml"
        path.write_text(text(wanted), encoding="utf-8")
        try:
            read = load(path, SecretMode.IGNORE)
        except MailprovError as error:
            return str(error).replace(f"{path}:", ""), True
    ended: list[Ended] = []

    def note(event: Event) -> None:
        if isinstance(event, Ended):
            ended.append(event)

    print_text(
        _("  Trying to log in as {user} at {address}, port {port} …").format(
            user=wanted.user, address=wanted.address, port=wanted.port
        )
    )
    with Connections(read.hosts, others=read.hosts) as connections:
        trusting = Trusting(connections, Reports(json=False, text=False), yes=False, json=False)
        trusting.trust(read.hosts)
        if trusting.errors:
            return str(trusting.errors[0]), False
        if trusting.declined:
            return _("Its key was not added to known_hosts, so nobody can log in yet."), False
        # It reads what the host remembers of earlier runs and writes nothing: SSH, sudo and Python are proved by it.
        history(read, select(read), start=connections.start, report=note)
    error_text = ended[-1].error if ended else _("it did not answer")
    if not error_text:
        print_text(_("  The login works, and so does Python there."))
    return error_text, True


def _read(question: str, default: str) -> str:
    try:
        return str(typer.prompt(question, default=default or None)).strip()
    except typer.Abort:
        raise KeyboardInterrupt from None


def _yes(question: str) -> bool:
    try:
        return bool(typer.confirm(f"  {question}"))
    except typer.Abort:
        raise KeyboardInterrupt from None


def _flag(name: str, value: str, check: Check) -> str:
    try:
        return check(value)
    except BadName as error:
        flag = {"accounts": "account", "probe": "probe-account"}.get(name, name)
        raise InputError(f"--{flag}", f'"{value}" {error}', _("Nothing was written")) from None


def _domain(value: str) -> str:
    names.domain(value)
    return value.lower().rstrip(".")


def _fqdn(value: str) -> str:
    names.host_name(names.fqdn(value).partition(".")[0])
    return value.lower().rstrip(".")


def _place(value: str) -> str:
    """An address or a name, and a port where one is given; an IPv6 address with a port has brackets (RFC 3986)."""
    host, port = _parted(value)
    host = names.host_address(host)
    if not port:
        return host
    if not 0 < int(port) < 65536:
        raise BadName(_("has a port that is not between 1 and 65535"))
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parted(value: str) -> tuple[str, str]:
    """Host and port; the port is empty where none is given."""
    head, colon, tail = value.rpartition(":")
    if not (colon and tail.isascii() and tail.isdigit()):
        return value, ""
    if head.startswith("[") and head.endswith("]"):
        return head[1:-1], tail
    return (head, tail) if ":" not in head else (value, "")


def _user(value: str) -> str:
    if not value or value.startswith("-") or any(c.isspace() or c in ":@/" for c in value):
        raise BadName(_("is not a valid user name"))
    return value


def _accounts(value: str) -> str:
    found = [names.local_part(each.strip()) for each in value.split(",") if each.strip()]
    if not found:
        raise BadName(_("has no name in it"))
    if len(set(found)) < len(found):
        raise BadName(_("has a name twice"))
    return ",".join(found)


def _of_tests(accounts: str) -> Check:
    """None, or a name that no other account has."""

    def check(value: str) -> str:
        if value in accounts.split(","):
            raise BadName(_("is one of the mailboxes already; an account for tests is nobody else's"))
        return names.local_part(value)

    return check


def _one_of(*words: str) -> Check:
    def check(value: str) -> str:
        if value.lower() not in words:
            raise BadName(_("is not one of {words}").format(words=", ".join(words)))
        return value.lower()

    return check


def _public(domain: str, address: str) -> bool:
    """Whether an authority can reach it, as far as names and addresses tell (RFC 6761, RFC 1918)."""
    if domain.rpartition(".")[2] in ("test", "example", "invalid", "localhost", "local", "internal"):
        return False
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return True
