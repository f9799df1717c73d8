"""Users' filters (Sieve, RFC 5228): the filter of the host that runs before theirs, and how what they send is sent.

    files(spam, maps, delimiter) -> tuple[File, ...]    programs and scripts that Dovecot runs
    PORT    Postfix's own listener, on the loopback address, for what filters send on

Pure.
"""

from __future__ import annotations

from mailprov.components.templates import render
from mailprov.model.host_state import File

SENDMAIL = "/etc/dovecot/mailprov-sendmail"
SPAM_SCRIPT = "/etc/dovecot/mailprov-spam.sieve"
PORT = 10028


def files(spam: bool, maps: str, delimiter: str) -> tuple[File, ...]:
    """`spam`: whether something marks spam, which then goes to the folder Junk. `maps`: where Postfix's tables are."""
    program = render("dovecot/sendmail.j2", port=PORT, maps=maps, delimiter=delimiter)
    sendmail = File(SENDMAIL, program, mode="0755")
    return (sendmail, File(SPAM_SCRIPT, render("dovecot/spam.sieve.j2"))) if spam else (sendmail,)
