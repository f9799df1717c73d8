"""What a move tells people: its steps, what to do in between, why it waits. Pure.

The functions take the domain, as the inventory states it for both sides, and the side it moves to (model/moving.py).
"""

from __future__ import annotations

import time

from mailprov.errors import InputError
from mailprov.i18n import _, ngettext
from mailprov.model.inventory import Domain, Inventory
from mailprov.model.moving import HOSTS, LOW_TTL, Moving, Step


def names(domain: Domain, to: str) -> tuple[str, str]:
    """The old side and the new one, as people call them."""
    provider = _(domain.hosted.provider.title) if domain.hosted else ""
    hosts = ", ".join(domain.hosts)
    return (provider, hosts) if to == HOSTS else (hosts, provider)


def step(domain: Domain, to: str, which: Step | None) -> str:
    """One line. None: the end."""
    old, new = names(domain, to)
    if which is Step.TTLS:
        text = _("records of {domain} get a TTL of at most {ttl} s, so that later steps are known soon")
        if to == HOSTS:
            text = _("records of {domain} get a TTL of at most {ttl} s, and {new} its accounts")
    elif which is Step.BOTH:
        text = _("SPF and DKIM let both {old} and {new} send its mail")
    elif which is Step.MX:
        text = _("MX lead to {new}; {old} goes on taking what still arrives there")
    elif which is Step.AWAY:
        text = _("{old} sends mail for {domain} on to its MX, and puts off who still brings some")
    else:
        text = _("SPF and DKIM of {old} go, and TTLs are as before")
    return text.format(domain=domain.name, old=old, new=new, ttl=LOW_TTL)


def turned(domain: Domain, here: Moving) -> str:
    old, new = names(domain, here.to)
    return _("{domain} was on its way to {new} (step {step}); it turns back to {old}").format(
        domain=domain.name, new=new, old=old, step=here.step.value
    )


def before(domain: Domain, to: str, which: Step) -> list[str]:
    """What must be true before the step is taken."""
    __, new = names(domain, to)
    if which is not Step.MX:
        return []
    if to == HOSTS:
        return [
            _("before the MX change: see that users of {domain} can log in at {new}").format(
                domain=domain.name, new=new
            )
        ]
    addresses = len(domain.accounts) + len(domain.aliases) + len(domain.lists)
    told = ngettext(
        "before the MX change: {new} must know the {count} address of {domain}, or mail for it is returned",
        "before the MX change: {new} must know all {count} addresses of {domain}, or mail for them is returned",
        addresses,
    )
    return [told.format(new=new, count=addresses, domain=domain.name), *_no_key(domain)]


def _no_key(domain: Domain) -> list[str]:
    if domain.hosted is None or domain.hosted.dkim:
        return []
    text = _("no DKIM key of {provider} is in `hosted: {{dkim: …}}`, so nobody can check what it signs")
    return [text.format(provider=_(domain.hosted.provider.title))]


def before_the_end(domain: Domain, to: str) -> list[str]:
    old, __ = names(domain, to)
    text = _("before the end: no user's program sends by {old} any more, and all mail was copied from there")
    return [text.format(old=old)]


def meanwhile(domain: Domain, to: str, which: Step) -> list[str]:
    """What to do while it waits, after the step."""
    old, new = names(domain, to)
    if to == HOSTS:
        texts = {
            Step.TTLS: _(
                "meanwhile: copy the mailboxes to {new} by IMAP; the accounts are there, with their passwords"
            ),
            Step.BOTH: _("meanwhile: give users their passwords at {new}"),
            Step.MX: _(
                "meanwhile: users set their programs to {new}; copy what came to {old} since; keep the domain and its "
                "mailboxes there until this has ended"
            ),
        }
    else:
        texts = {
            Step.TTLS: _(
                "meanwhile: let {new} verify the domain (what `hosted: {{verification: …}}` has is published), make "
                "its mailboxes, and copy MX and DKIM from its console to `hosted`"
            ),
            Step.BOTH: _(
                "meanwhile: make all mailboxes, aliases and groups at {new}, and copy the mail there by IMAP"
            ),
            Step.MX: _("meanwhile: users set their programs to {new}, with their passwords there"),
            Step.AWAY: _(
                "meanwhile: copy what came to {old} since, which is there by IMAP as before, and see that nobody's "
                "program sends by it any more"
            ),
        }
    return [texts[which].format(old=old, new=new)] if which in texts else []


def why_wait(domain: Domain, to: str, here: Moving, last: bool) -> str:
    old, __ = names(domain, to)
    if last:
        return _("until then mail that {old} has signed may be on its way").format(old=old)
    if here.step is Step.BOTH:
        return _("until then caches may have the SPF record from before")
    if here.step is Step.MX:
        return _("until then caches may have the MX from before, and {old} takes that mail").format(old=old)
    return _("until then caches may have the records from before, with their TTLs")


def arrived(inventory: Inventory, domain: Domain, to: str) -> str:
    __, new = names(domain, to)
    if to == HOSTS:
        advice = _("leave `hosted` out of the domain in {file} now").format(file=inventory.source)
    else:
        advice = _(
            "leave `hosts`, `accounts` and what else belongs to them out of the domain in {file} now; its old "
            "mailboxes stay on the hosts until `mailprov purge`"
        ).format(file=inventory.source)
    return _("mail of {domain} is at {new}; {advice}").format(domain=domain.name, new=new, advice=advice)


def no_mx(inventory: Inventory, domain: Domain) -> InputError:
    what = _("`mx` is missing: where mail of {domain} goes, which the console of {provider} shows")
    provider = _(domain.hosted.provider.title) if domain.hosted else ""
    return InputError(
        f"{inventory.source}: domains.{domain.name}.hosted",
        what.format(domain=domain.name, provider=provider),
        _("Copy it from there; then the same command goes on"),
    )


def moment(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(when))


def stamp(when: float) -> str:
    """ISO 8601, for programs."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))


def duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.999), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return _("{hours} h {minutes} min").format(hours=hours, minutes=minutes)
    return (
        _("{minutes} min {seconds} s").format(minutes=minutes, seconds=rest)
        if minutes
        else _("{seconds} s").format(seconds=rest)
    )
