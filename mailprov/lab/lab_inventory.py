"""The inventory of a lab: the user's own with lab addresses, keys and secrets, to rehearse it.

    app_secret  how the lab calls an account's password for one program
    rehearse    the same hosts, domains, accounts, aliases and lists as YAML text that
                `mailprov.inventory.load` reads

Only what must differ differs: addresses, ssh, dns, tls, and passwords, which are the lab's own.
"""

from __future__ import annotations

import io
import time
from ipaddress import ip_address
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from mailprov.components import registry
from mailprov.dns import providers
from mailprov.lab import releases
from mailprov.lab.acme_server import directory_url
from mailprov.lab.keys import TSIG_ALGORITHM, TSIG_NAME
from mailprov.lab.paths import LabPaths
from mailprov.lab.state import LabHost, LabState
from mailprov.model.accounts import Account
from mailprov.model.inventory import Challenge, Dkim, Domain, Host, Inventory, TlsMode
from mailprov.model.states import AppPassword, State
from mailprov.model.values import dataclass

# Names that readers of YAML 1.1 take for a boolean.
_WORDS = {"y", "n", "yes", "no", "on", "off"}


def rehearse(inventory: Inventory, paths: LabPaths, state: LabState) -> str:
    """YAML text of the lab's inventory; paths are absolute but for those of secrets."""
    body = {
        "ssh": {"user": "root", "identity_file": str(paths.identity), "known_hosts": str(paths.known_hosts)},
        "dns": _dns(inventory, paths, state),
        "hosts": {host.name: _host(paths, state, host, inventory) for host in state.hosts},
        # A provider is not in a lab: a domain that moves is on its hosts there.
        "domains": {
            domain.name: _domain(paths, domain)
            for domain in inventory.domains
            if domain.hosts or not domain.hosted
        },
    }
    yaml = YAML()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = io.StringIO()
    text.write(
        f"# Made by `mailprov lab up {inventory.source}`: the same, on the hosts of lab {paths.name}.\n"
    )
    yaml.dump(_plain(body), text)
    return text.getvalue()


def _dns(inventory: Inventory, paths: LabPaths, state: LabState) -> dict[str, Any]:
    """All zones are on the lab's own name server, whichever providers have them; each with its own TTL."""
    settings = inventory.dns
    server = providers.by_update(state.dns.address, TSIG_NAME, TSIG_ALGORITHM, _file(paths, "tsig"))
    zones = {zone: {**server, "ttl": own.ttl} for zone, own in settings.zones if own.ttl != settings.ttl}
    addresses = (address for host in inventory.hosts for address in (*host.ipv4, *host.ipv6))
    reverse = any(settings.reverse_at(ip_address(address).reverse_pointer) for address in addresses)
    return {
        **server,
        "ttl": settings.ttl,
        "reverse": settings.reverse or reverse,
        **({"zones": zones} if zones else {}),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, str) and "\n" in value:
        return LiteralScalarString(value)
    if isinstance(value, str) and value.lower() in _WORDS:
        return DoubleQuotedScalarString(value)
    return value


def _file(paths: LabPaths, name: str) -> dict[str, str]:
    return {"file": str(paths.secret(name).relative_to(paths.directory))}


def _host(paths: LabPaths, state: LabState, host: LabHost, inventory: Inventory) -> dict[str, Any]:
    asked = inventory.host(host.name)
    return {
        "address": host.address,
        "fqdn": host.fqdn,
        **({"ssh": {"user": user}} if (user := releases.login(host.release)) != "root" else {}),
        "ipv4": [host.address],
        **({"ipv6": [host.address6]} if host.address6 else {}),
        **({} if asked.managed else {"managed": False}),
        **({"services": list(asked.services)} if asked.ports_off else {}),
        "tls": _tls(paths, state, host, asked),
        "recipient_delimiter": asked.recipient_delimiter or "none",
        "message_size_limit": asked.message_size_limit,
        **_components(paths, asked, inventory),
        "filter": asked.filter.value,
        "lab": {"release": host.release},
    }


@dataclass(frozen=True)
class _Lab:
    """As components/setting.py wants it."""

    paths: LabPaths
    inventory: Inventory

    @property
    def ca_file(self) -> str:
        return str(self.paths.ca)

    def password(self, address: str) -> dict[str, str]:
        return _file(self.paths, address)


def _components(paths: LabPaths, asked: Host, inventory: Inventory) -> dict[str, Any]:
    """What belongs to one component alone, which knows how to say it."""
    lab = _Lab(paths, inventory)
    own = [each for each in registry.settings() if each.rehearse and (asked.managed or not each.sets_up)]
    said = {each.key: each.rehearse(each.of(asked), lab) for each in own if each.rehearse}
    return {key: value for key, value in said.items() if value is not None}


def _tls(paths: LabPaths, state: LabState, host: LabHost, asked: Host) -> dict[str, Any]:
    """An authority's certificates come from the lab's own ACME server; all others are the lab's CA's, but for those
    that somebody makes by hand.
    """
    if not asked.managed and asked.tls.mode is TlsMode.SELF_SIGNED:
        return {"mode": "self-signed"}
    if asked.tls.mode is not TlsMode.ACME:
        return {
            "mode": "files",
            "certificate": str(paths.certificate(host.name)),
            "key": str(paths.key(host.name)),
            "ca_file": str(paths.ca),
        }
    acme, dns = asked.tls.acme, asked.tls.acme.challenge is Challenge.DNS
    return {
        "mode": "acme",
        **({"email": acme.email} if acme.email else {}),
        "directory": directory_url(state),
        "challenge": acme.challenge.value,
        **({"propagation": 1} if dns else {}),  # one name server, which is the one that is asked
        "key_type": asked.tls.key_type.value,
        "ca_file": str(paths.acme_ca),
    }


def _domain(paths: LabPaths, domain: Domain) -> dict[str, Any]:
    body: dict[str, Any] = {"hosts": list(domain.hosts)}
    if domain.accounts:
        body["accounts"] = {account.local_part: _account(paths, account) for account in domain.accounts}
    if domain.aliases:
        body["aliases"] = {_local(alias): target for alias, target in domain.aliases}
    if domain.lists:
        body["lists"] = {_local(name): list(members) for name, members in domain.lists}
    if domain.catch_all is not None:
        body["catch_all"] = domain.catch_all
    if domain.domain_aliases:
        body["domain_aliases"] = list(domain.domain_aliases)
    if domain.mail_name is not None:
        body["mail_name"] = domain.mail_name
    # Hosts and senders of others are not in a lab: mail would wait for them, and SPF could not be evaluated.
    if own := [each for each in domain.mx if each.ours]:
        body["mx"] = [
            {"host": each.host, "preference": "none" if each.preference is None else each.preference}
            for each in own
        ]
    if domain.spf.soft:
        body["spf"] = {"all": "soft"}
    if domain.dkim != Dkim():
        selector = {"selector": domain.dkim.selector} if domain.dkim.selector else {}
        body["dkim"] = {"algorithms": list(domain.dkim.algorithms), **selector}
    if domain.dmarc is None:
        body["dmarc"] = "off"
    elif domain.dmarc.asked:
        body["dmarc"] = {
            "policy": domain.dmarc.policy,
            **({"rua": domain.dmarc.rua} if domain.dmarc.rua is not None else {}),
        }
    if domain.tls_rpt:
        body["tls_rpt"] = domain.tls_rpt
    if domain.mta_sts:
        body["mta_sts"] = domain.mta_sts
    if domain.srv:
        body["srv"] = True
    if domain.webmail:
        body["webmail"] = domain.webmail
    return body


def _account(paths: LabPaths, account: Account) -> dict[str, Any]:
    password: dict[str, Any] = _file(paths, account.address)
    if account.owner == "user":
        password = {"initial": password, "owner": "user"}
    body: dict[str, Any] = {"password": password}
    if account.login is not None:
        body["login"] = account.login
    if account.quota is not None:
        body["quota"] = account.quota
    if account.probe:
        body["probe"] = True
    if account.shell is not None:
        body["shell"] = {
            "user": account.shell.user,
            "password": account.shell.password,
            "restricted": account.shell.restricted,
            **({"keys": list(account.shell.keys)} if account.shell.keys else {}),
            "home_quota": account.shell.home_quota or "none",
        }
    if account.forward is not None:
        body["forward"] = {"to": list(account.forward.to), "keep": account.forward.keep}
    if account.state is not State.ACTIVE:
        body["state"] = account.state.value
    if account.expires is not None:
        body["expires"] = {"date": _moment(account.expires.at), "state": account.expires.state.value}
    if account.app_passwords:
        body["app_passwords"] = {
            app.name: {
                **_file(paths, app_secret(account, app)),
                "protocols": list(app.protocols),
                **({"expires": _moment(app.expires)} if app.expires is not None else {}),
            }
            for app in account.app_passwords
        }
    return body


def app_secret(account: Account, app: AppPassword) -> str:
    """What the lab calls that password; no address has such a name."""
    return f"{account.address}+{app.name}"


def _moment(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _local(address: str) -> str:
    return address.rpartition("@")[0]
