"""What to do about it, in the words that several probes use. Pure.

FOR_ERRORS                       class of an error of `clients` → what to do; marked for translation
About a record of DNS:

publish(records)                 add or change these
publish_alone(record, start)     the same, and nothing like it beside it
"""

from __future__ import annotations

from mailprov.i18n import N_, _

FOR_ERRORS = {
    "Refused": N_("see net.tcp for this port"),
    "Unreachable": N_("see net.tcp for this port"),
    "TurnedAway": N_(
        "see the server's log; if it limits how often one address may connect, exempt this one (Sendmail: "
        "ClientRate and ClientConn in access; Courier: MAXPERIP; Postfix: smtpd_client_event_limit_exceptions), "
        "then run it again"
    ),
    "Mute": N_(
        "see the server's log: Postfix starts a service that has crashed again only after a minute, as it does with "
        "submission where Dovecot, which checks the logins, does not run"
    ),
    "ReadTimeout": N_("see whether the server is up and not overloaded, then run it again"),
    "ConnectionClosed": N_("see the server's log for the reason, then run it again"),
    "UntrustedCertificate": N_("see tls.chain and tls.name"),
    "NotFromHere": N_("run it from another network; nothing is known of the zone"),
    "NoZone": N_(
        "give this machine a resolver that knows it (/etc/resolv.conf), or set dns.server in the inventory"
    ),
    "NoAnswer": N_("see that the name server is up and reachable from here on port 53, UDP and TCP"),
}


def publish(records: str) -> str:
    return _("publish {records}").format(records=records)


def publish_alone(record: str, start: str) -> str:
    return _("publish {record}, and nothing else that starts with {start}").format(record=record, start=start)
