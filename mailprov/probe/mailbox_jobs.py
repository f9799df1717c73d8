"""What is done in accounts for tests alone (`probe: true`): one mailbox of each host, by one probe after the other.

    on_mailboxes(run, wanted, hosts, domains)      pieces of work for threads, one a host; `run.filling` knows at once.
                                                   `wanted`: whether somebody wants to hear of a probe, by its id

It is filled first, and whoever else writes to it waits for that. A host without such an account is a skip with that
reason. Raises nothing but bugs outside of probes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from mailprov.i18n import _, one_of
from mailprov.model.findings import Finding
from mailprov.model.inventory import Domain, Host
from mailprov.probe import checks
from mailprov.probe.accounts import names, probe_account
from mailprov.probe.context import HostContext, Run
from mailprov.probe.guarding import guarded
from mailprov.probe.mailboxes import MailboxContext
from mailprov.probe.registry import Probe, Scope
from mailprov.probe.targets import imap_port

_FILLS = "quota."  # the family that leaves no room in a mailbox for a moment
_NAMED = 5  # domains in one sentence

Work = Callable[[], Iterator[Finding]]


def on_mailboxes(
    run: Run, wanted: Callable[[str], bool], hosts: list[Host], domains: list[Domain]
) -> Iterator[Work]:
    every = [probe for probe in checks.probes() if probe.scope is Scope.MAILBOX]
    probes = [probe for probe in every if wanted(probe.entry.id)]
    told = {probe.entry.id for probe in probes}
    needed = {*told, *(probe.after for probe in probes)}
    in_turn = sorted(
        (probe for probe in every if probe.entry.id in needed), key=lambda probe: not _fills(probe)
    )
    for host in hosts:
        here = [domain for domain in domains if domain.hosts[:1] == (host.name,)]
        reached = [each for each in run.addresses[host.name] if (host.name, each) not in run.held]
        if not (probes and here and reached):
            continue
        found = next(((each, one) for each in here if (one := probe_account(each)) is not None), None)
        if found is None or imap_port(host) is None:
            yield partial(_left_out, run, host, here, probes)
            continue
        context = MailboxContext(run, in_turn[0].entry, host=host, domain=found[0], account=found[1])
        if _fills(in_turn[0]):
            run.filling.begins(found[1].address)
        yield partial(_work, in_turn, told, context)


def _fills(probe: Probe) -> bool:
    return probe.entry.id.startswith(_FILLS)


def _work(probes: list[Probe], told: set[str], context: MailboxContext) -> Iterator[Finding]:
    run = context.run
    try:
        for probe in probes:
            if not _fills(probe):
                run.filling.ends(context.account.address)
            context.entry, context.seconds, context.port = probe.entry, probe.seconds(run.timing), 0
            context.transcript.lines.clear()
            for finding in guarded(probe, context):
                if finding.id in told:
                    yield finding
    finally:
        run.filling.ends(context.account.address)


def _left_out(run: Run, host: Host, domains: list[Domain], probes: list[Probe]) -> Iterator[Finding]:
    marked = [account for domain in domains for account in domain.accounts if account.probe]
    if imap_port(host) is None:
        why = _("{host} offers no IMAP").format(host=host.name)
    elif marked:
        form = _(
            "{names} cannot be used: its password is not known here, it forwards its mail, or it may not log in"
        )
        why = form.format(names=names(marked))
    else:
        where = one_of([domain.name for domain in domains[:_NAMED]])
        why = _("no account of {domains} is marked `probe: true`").format(domains=where)
    for probe in probes:
        yield HostContext(run, probe.entry, 1.0, host=host).skip(why)
