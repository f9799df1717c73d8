"""Verification from outside: raw clients on sockets, one function per probe, five verdicts.

    clients/      SMTP, IMAP, POP3, ManageSieve and DNS on sockets; they show what they get and judge nothing
    checks/       the probes, and their catalogue
    mailauth/     SPF, DKIM, Received, probe messages
    registry      what a probe is; the decorator that makes one
    context       one probe on one target
    timing        how long things may take
    vantage       from where a probe must look, and whether this run does
    accounts      who logs in
    expected_mail where mail for an address belongs, by the inventory
    addresses     messages to every kind of address of a domain
    deliveries    who sends to whom, and one message on its way
    targets       which addresses are looked at
    reach         where any connection may lead
    bans          addresses of ours that fail2ban holds
    filling       mailboxes without room for a moment, and who waits
    mailboxes     the mailbox of an account for tests
    mailbox_jobs  what is done there
    leftovers     what was sent and is not removed yet
    cleaning      one look for it, at the end of a run
    queues        whether what was sent has left a host's queue
    web_bans      the same, at the web alone
    selection     which probes somebody means by a word
    jobs          which probe looks at which target
    guarding      a probe at work: whatever happens inside is a finding
    turns         who waits for whom
    runner        what runs when
    propagation   whether all name servers have a record yet

Public: verify, catalogue, new_name, selects, Bans, Entry, Leftovers, QueueTold, QueueWaiting, Timing. Findings are
`model.findings`; an error is never a pass.
"""

from mailprov.probe.bans import Bans
from mailprov.probe.checks import catalogue
from mailprov.probe.leftovers import Leftovers
from mailprov.probe.queues import Told as QueueTold
from mailprov.probe.queues import Waiting as QueueWaiting
from mailprov.probe.registry import Entry, new_name
from mailprov.probe.runner import verify
from mailprov.probe.selection import selects
from mailprov.probe.timing import Timing
from mailprov.probe.vantage import Told as TrustTold

__all__ = [
    "Bans",
    "Entry",
    "Leftovers",
    "QueueTold",
    "QueueWaiting",
    "Timing",
    "TrustTold",
    "catalogue",
    "new_name",
    "selects",
    "verify",
]
