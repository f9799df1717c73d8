"""The probe of where verify itself stands: `net.vantage`, once for each host.

Public: the probe. Raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.probe.context import HostContext
from mailprov.probe.registry import Scope, probe
from mailprov.probe.vantage import ELSEWHERE, PROBE, Vantage, has_strangers, within


@probe(
    PROBE,
    Scope.HOST,
    N_("verify looks from where strangers are"),
    expected=N_("the address by which we come is in none of the networks that the host trusts"),
    steps=(
        N_(
            "Ask the host over SSH by which address it sees us, and what mynetworks and login_trusted_networks have."
        ),
        N_(
            "Look for that address there, for IPv4 and IPv6, as Postfix and Dovecot do for each of their ports."
        ),
    ),
    verdicts={
        "pass": N_("in none, or in one that has most of the Internet"),
        "error": N_(
            "in one: what probes of relaying and of logins in clear see from there says nothing of strangers"
        ),
        "skip": N_("the host cannot be asked, so only what can be seen from here is known"),
    },
    refs=("postconf(5) mynetworks", "doveconf(1)"),
    applies=lambda context: context.run.vantages.asked,
    unless=N_("nobody was asked"),
    vantage=Vantage.HOST,
)
def vantage(context: HostContext) -> Iterator[Finding]:
    host, told = context.host, context.run.vantages.told(context.host.name)
    inside = [each for each in told.trusted if not has_strangers(each.network)]
    if inside:
        found = dict.fromkeys((each.setting, each.network, each.own) for each in inside)
        texts = [within(setting, host.name, network, own) for setting, network, own in found]
        yield context.error("; ".join(texts), _(ELSEWHERE))
        return
    own = ", ".join(dict.fromkeys(each for each in told.own.values() if each))
    if told.why:
        form = _("not asked, as {why}; from here nothing speaks for the server trusting {own}")
        if told.near:
            form = _(
                "not asked, as {why}; both are in {near}, which servers often trust: a failure may be ours alone"
            )
        yield context.skip(form.format(why=told.why, own=own or _("this machine"), near=told.near))
    elif own:
        yield context.passed(_("{host} trusts no network that has {own}").format(host=host.name, own=own))
    else:
        yield context.skip(_("by which address {host} sees us is not known").format(host=host.name))
