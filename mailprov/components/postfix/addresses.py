"""Who exists and where their mail goes: domains, accounts, aliases, lists and forwards as Postfix lookup
tables.

    other_names(domains) -> dict[str, Account]    address → the one account here that it leads to
    tables(domains, fqdn) -> dict[str, str]    file name → content, for texthash: maps
    moved_checks(domains) -> str                  the domains whose mail is put off
    led_to(domains, accounts) -> list[str]        what else leads to accounts that get no mail
    texthash(rows, comments) -> str            one map's text

Pure. Postfix reads `texthash:` as `key whitespace value`, one a line (DATABASE_README). Raises InputError for
an address that cannot be written there; the inventory refuses such addresses before.

    domains         virtual_mailbox_domains: mail domains of this host
    alias_domains   virtual_alias_domains: their domain aliases
    mailboxes       virtual_mailbox_maps: the accounts; others are refused at RCPT (RFC 5321 section 3.3)
    virtual         virtual_alias_maps: aliases, lists, forwards, alias domains; one line for each address
    logins          smtpd_sender_login_maps: sender address → logins that may use it
    redirects       accounts that only redirect: a full mailbox of theirs is no reason to refuse; with a catch-all
                    also the names that lead to several or to nobody here, which are not the catch-all's
    sent_on         addresses whose mail goes on to other hosts, for whom this host vouches (spoofing.py)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from types import MappingProxyType

from mailprov.components.postfix import spoofing
from mailprov.components.templates import MANAGED
from mailprov.errors import InputError
from mailprov.i18n import _
from mailprov.model.accounts import Account
from mailprov.model.inventory import Domain

MAPS = "/etc/postfix/mailprov"  # the directory of all lookup tables of Postfix
# Every domain must have the first (RFC 5321 section 4.5.1) and should have the second (RFC 2142 section 2).
_ROLES = ("postmaster", "abuse")
# Names of the operating system that cron jobs and daemons write to and as. virtual(5): a key without a domain
# is that name at $myorigin and at each domain of $mydestination.
_SYSTEM_NAMES = ("abuse", "mailer-daemon", "postmaster", "root", "www-data")
# A name, or a name at a domain. `#` first would make a comment of a line; blanks, commas, quotes cut it (postmap(1)).
_WORD = re.compile(
    r"[a-z0-9!$%&'*+/=?^_`{|}~.-][a-z0-9!#$%&'*+/=?^_`{|}~.-]*(?:@[a-z0-9.-]+)?", re.IGNORECASE
)
_LOGIN = re.compile(r"[a-z0-9._='-]+@[a-z0-9.-]+")


def tables(
    domains: Iterable[Domain], fqdn: str, people: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """All maps of a host that serves `domains`, in the order of the inventory. `people`: users with a shell → their
    accounts, which get what the system writes to them.
    """
    everybody = tuple(domains)
    # Of a domain that moves, mail goes to the MX that DNS names once these lead elsewhere: then nothing here says where
    # else it should go, and its users may log in and send as before.
    served = tuple(domain for domain in everybody if domain.taken_here)
    accounts = [account for domain in everybody for account in domain.accounts]
    good: set[str] = set()  # words that were looked at: most stand in more than one table
    for account in accounts:
        if not _LOGIN.fullmatch(account.address):
            raise InputError(
                f"account {account.address}",
                _("the name cannot be a login and a directory"),
                _("Use letters, digits and . _ - = ' before the @"),
            )
    roles = _roles(served)
    virtual, origins = _virtual(served, roles)
    logins_of = {account.address: (account.address,) for account in accounts}
    own = {account.address: (account.address,) for domain in served for account in domain.accounts}
    every_name = (virtual, origins) if served == everybody else _virtual(everybody, _roles(everybody))
    logins = {**logins_of, **{name: (to,) for name, to in _leads(logins_of, *every_name).items()}}
    operator = _operator(served, roles) or ("" if served else next(iter(logins_of), ""))
    system = dict.fromkeys(_SYSTEM_NAMES, (operator,)) if operator else {}
    system |= {name: (address,) for name, address in people.items()}
    mail_names = {name for domain in served for name in (domain.name, *domain.domain_aliases)}
    if fqdn in mail_names:
        # Such a host's own mail has another domain (postfix.py). These names go on at this one, where nobody has them.
        known = {**virtual, **own}
        virtual |= {name: to for each, to in system.items() if (name := f"{each}@{fqdn}") not in known}
    comments = [
        f"{address} is not in the inventory; it goes to {target}." for address, target in roles.items()
    ]
    if system:
        comments.append(f"Names without a domain are users of the operating system on {fqdn}.")
    return {
        "domains": texthash(
            {domain.name: ("mail",) for domain in served}, ["The mail domains of this host."]
        ),
        "alias_domains": texthash(
            {name: (f"alias-of-{domain.name}",) for domain in served for name in domain.domain_aliases},
            ["The alias domains: their addresses stand one by one in the file virtual."],
        ),
        "mailboxes": texthash(
            dict.fromkeys(own, ("mailbox",)),
            ["The accounts: who has a mailbox here. Dovecot knows where it is."],
            good=good,
        ),
        "virtual": texthash(
            {**virtual, **system},
            ["Where mail for an address goes: virtual(5).", *comments],
            whole=[f"@{domain.name}" for domain in served if domain.catch_all],
            good=good,
        ),
        "logins": texthash(
            logins,
            ["Who may send as whom: sender address, then the logins that may use it (SASL_README)."],
            good=good,
        ),
        "redirects": texthash(
            dict.fromkeys(_quota_exempt(served, set(virtual) - set(logins)), ("OK",)),
            [
                "What is taken without asking for room: accounts that keep no copy, names that are no mailbox's."
            ],
        ),
        "sent_on": texthash(
            spoofing.forwarded(served, {**virtual, **system}),
            [
                "Addresses whose mail goes on to other hosts, also through lists and other names.",
                "There a stranger cannot send as one of our own domains (own_domains_checks says why).",
            ],
            whole=[f"{name}@" for name in system],
        ),
    }


def moved_checks(domains: Iterable[Domain]) -> str:
    """regexp_table(5): domains of this host whose mail goes elsewhere, or does not come here yet (model/moving.py). Who
    found this host in an old answer of DNS is to come again, and looks the MX up anew: refused, it would be a bounce.
    Patterns, because a plain name would stand for the domains below it, too (parent_domain_matches_subdomains).
    """
    lines = [
        f"# {MANAGED}",
        "# Mail for these domains is another host's: its sender is to look up the MX again.",
    ]
    for domain in domains:
        text = f"450 4.4.4 mail for {domain.name} goes to another host; look up its MX again"
        lines.append(f"/@{re.escape(domain.name).replace(chr(92) + '-', '-')}$/ {text}")
    return "\n".join(lines) + "\n"


def other_names(domains: Iterable[Domain]) -> dict[str, Account]:
    """Aliases, alias addresses in domain aliases, implicit roles, and `@domain` for a catch-all, where they lead to one
    account of this host that keeps what it gets: who must have room when they are written to.
    """
    served = tuple(domains)
    keep = {
        account.address: account
        for domain in served
        for account in domain.accounts
        if account.forward is None or account.forward.keep
    }
    virtual, origins = _virtual(served, _roles(served))
    known = {account.address for domain in served for account in domain.accounts}
    leads = _leads(known, virtual, origins)
    found = {name: keep[to] for name, to in leads.items() if to in keep and name not in keep}
    for domain in served:
        if domain.catch_all and (to := leads.get(domain.catch_all, domain.catch_all)) in keep:
            found[f"@{domain.name}"] = keep[to]
    return found


def led_to(domains: Iterable[Domain], accounts: Collection[str]) -> list[str]:
    """`name ADDRESS ACCOUNT` for each other name of one of these accounts, `catch-all DOMAIN ACCOUNT` where a catch-all
    leads there, with `keep NAME ACCOUNT` for all that the domain's catch-all does not get.
    """
    served = tuple(domain for domain in domains if domain.taken_here)
    virtual, origins = _virtual(served, _roles(served))
    known = {account.address for domain in served for account in domain.accounts}
    leads = _leads(known, virtual, origins)
    found = [
        f"name {name} {to}"
        for name, to in leads.items()
        if to in accounts and name not in known and name[0] != "@"
    ]
    everybody = [name for domain in served for name in (domain.name, *domain.domain_aliases)]
    for domain in served:
        to = leads.get(domain.catch_all, domain.catch_all) if domain.catch_all else ""
        if to not in accounts:
            continue
        own = {name for name in virtual if name.endswith(f"@{domain.name}") and name[0] != "@"}
        below = [name for name in everybody if name.endswith(f".{domain.name}")]
        found.append(f"catch-all {domain.name} {to}")
        found += [f"keep {name} {to}" for name in (*own, *below)]
    return sorted(found)


def texthash(
    rows: Mapping[str, Collection[str]],
    comments: Iterable[str] = (),
    whole: Iterable[str] = (),
    good: set[str] | None = None,
) -> str:
    """A map's text, sorted by key: `key value, value`. InputError for a name that does not fit in.

    `whole`: the keys `@domain` and `name@` that are meant: each stands for many. `good`: words that are known to fit
    in; it learns those of this map.
    """
    known = set() if good is None else good
    words = set(rows).union(*rows.values()).difference(known, whole)
    bad = [word for word in words if not (word.isascii() and _WORD.fullmatch(word))]
    if bad:
        seen = _("it cannot be written in a Postfix table")
        raise InputError(f"address {min(bad)!r}", seen, _("Use another address"))
    known |= words
    lines = [f"# {MANAGED}"]
    lines += [f"# {comment}" for comment in comments]
    lines += [f"{key} {', '.join(rows[key])}" for key in sorted(rows)]
    return "\n".join(lines) + "\n"


def _roles(domains: tuple[Domain, ...]) -> dict[str, str]:
    """postmaster@ and abuse@ of each domain that does not have them → postmaster@, else its first account that gets
    mail, and goes on to get it.

    A domain without accounts goes to the first account of the host; without any, nobody can be named.
    """
    roles: dict[str, str] = {}
    first = _first(account for domain in domains for account in domain.accounts)
    for domain in domains:
        own = _first(domain.accounts) or first
        names = _names(domain)
        postmaster = f"postmaster@{domain.name}"
        for role in _ROLES:
            address = f"{role}@{domain.name}"
            target = postmaster if postmaster in names else own
            if address not in names and target:
                roles[address] = target
    return roles


def _first(accounts: Iterable[Account]) -> str:
    """The address of the first that gets mail, else of the first; empty without any. Those for tests come last."""
    deaf = ""
    for account in sorted(accounts, key=lambda account: account.probe):
        if not account.may_lose[1]:
            return account.address
        deaf = deaf or account.address
    return deaf


def _operator(domains: tuple[Domain, ...], roles: Mapping[str, str]) -> str:
    """Who reads the operating system's mail: postmaster of the host's first domain."""
    for domain in domains:
        address = f"postmaster@{domain.name}"
        if address in roles or address in _names(domain):
            return address
    return ""


def _names(domain: Domain) -> list[str]:
    """Every address of a domain, as written in the inventory."""
    return [
        *(account.address for account in domain.accounts),
        *(alias for alias, __ in domain.aliases),
        *(name for name, __ in domain.lists),
    ]


def _quota_exempt(domains: tuple[Domain, ...], ownerless: set[str]) -> Iterator[str]:
    """Addresses for which a full mailbox is no reason to refuse. `ownerless`: those that no one account owns."""
    for domain in domains:
        for account in domain.accounts:
            if account.forward and not account.forward.keep:
                names = (domain.name, *domain.domain_aliases)  # the address itself, and its alias addresses
                yield from (f"{account.local_part}@{name}" for name in names)
    catching = {domain.name for domain in domains if domain.catch_all}
    yield from (name for name in ownerless if name[0] != "@" and name.rpartition("@")[2] in catching)


def _virtual(
    domains: tuple[Domain, ...], roles: Mapping[str, str]
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """virtual_alias_maps, and which of its keys are other names of one address (key → that address).

    Postfix expands the right side again, so aliases of aliases and lists of aliases need no work here, and an
    account that stands on its own right side keeps a copy. The alias addresses in alias domains stand one by one:
    `@alias @domain` would accept every name (BACKSCATTER_README).
    """
    rows: dict[str, tuple[str, ...]] = {}
    origins: dict[str, str] = dict(roles)
    rows.update({address: (target,) for address, target in roles.items()})
    for domain in domains:
        for account in domain.accounts:
            if account.forward:
                kept = (account.address,) if account.forward.keep else ()
                rows[account.address] = tuple(dict.fromkeys((*kept, *account.forward.to)))
        for alias, target in domain.aliases:
            rows[alias] = (target,)
            origins[alias] = target
        for name, members in domain.lists:
            rows[name] = tuple(dict.fromkeys(members))
        if domain.catch_all:
            # `@domain` is looked up before virtual_mailbox_maps: a name of its own keeps each account what it is.
            rows[f"@{domain.name}"] = (domain.catch_all,)
            for account in domain.accounts:
                rows.setdefault(account.address, (account.address,))
        named = [*_names(domain), *(name for role in _ROLES if (name := f"{role}@{domain.name}") in roles)]
        for address in named:
            local = address.rpartition("@")[0]
            for other in domain.domain_aliases:
                rows[f"{local}@{other}"] = (address,)
                origins[f"{local}@{other}"] = address
    return rows, origins


def _leads(
    known: Container[str], virtual: Mapping[str, tuple[str, ...]], origins: Mapping[str, str]
) -> dict[str, str]:
    """Each alias or alias address that leads to one account → that account. `known`: the accounts.

    A list has several members and none of them owns it; a forward leads away from an account, not to it.
    """
    found: dict[str, str] = {}
    for start in virtual:
        address, seen = start, {start}
        while address not in known and address in origins and origins[address] not in seen:
            address = origins[address]
            seen.add(address)
        if address in known:
            found[start] = address
    return found
