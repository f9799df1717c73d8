"""Verification from outside: raw clients on sockets, one function per probe, five verdicts.

    stream        socket, deadline, line reader, redacted transcript
    tls           contexts, and what a certificate says
    smtp, imap, pop3, sieve   the clients; they show bytes and judge nothing
    opening       a session past its greeting, by whatever protocol
    authority, spf        DNS from the authoritative server; SPF evaluation
    table, case   the table of probes; one probe on one target
    greetings, managesieve, certificates, sni, login, wrong_passwords, relay, partners, loop, published    the probes
    accounts, pairs, arrival    who logs in, who sends to whom, where a message may have arrived
    message, received     probe messages; the Received chain
    targets       which addresses are looked at
    held          addresses of ours that fail2ban holds
    jobs          which probe looks at which target
    runner        what runs when

Public: verify, catalogue, Bans, Entry, Timing. Findings are `model.findings`; an error is never a pass.
"""

from mailprov.probe.case import Timing
from mailprov.probe.held import Bans
from mailprov.probe.runner import verify
from mailprov.probe.table import Entry, catalogue

__all__ = ["Bans", "Entry", "Timing", "catalogue", "verify"]
