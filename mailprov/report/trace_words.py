"""The words by which a trace is shown, on a terminal and on a page.

    AGENTS         agent → its name
    ABOUT          agent → what it does, for those who learn it
    EVIDENCE       grade → its sign, its word, what it means
    OUTCOMES       outcome → its sign, its word
    DELAYS         Postfix's four delays: letter, field of model.trace.Delays, what it says
    place(step)    who acts, and where: `SMTP mx2:25`
    moment(step)   when, since the start: `+0.42 s`
    seconds(n)     `0.42 s`, `3 min 20 s`
    clock(clock)   how far a host's clock is from this machine's, one sentence
    offsets(trace) host → how far its clock is ahead, where that can be seen in the times shown

Signs differ by shape, so that nothing is told by colour alone. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from mailprov.i18n import N_, _
from mailprov.model.trace import Agent, Clock, Evidence, Outcome, Step, Trace


class Grade(NamedTuple):
    sign: str
    word: str
    about: str


class End(NamedTuple):
    sign: str
    word: str
    style: str


class Delay(NamedTuple):
    letter: str
    field: str
    about: str


AGENTS = {
    Agent.MUA: N_("MUA"),
    Agent.SUBMISSION: N_("submission"),
    Agent.QUEUE: N_("queue"),
    Agent.DNS: N_("DNS"),
    Agent.SMTP: N_("SMTP"),
    Agent.FILTER: N_("filter"),
    Agent.ADDRESS: N_("address"),
    Agent.LMTP: N_("LMTP"),
    Agent.MAILBOX: N_("mailbox"),
    Agent.IMAP: N_("IMAP"),
    Agent.POP3: N_("POP"),
}
ABOUT = {
    Agent.MUA: N_("The mail user agent: the program in which somebody writes and reads mail."),
    Agent.SUBMISSION: N_(
        "Where an MTA takes mail from its own users: ports 465 and 587, with TLS and a password."
    ),
    Agent.QUEUE: N_(
        "Where the MTA (Postfix) keeps a message until each recipient has it. The message has a queue id there, "
        "another one on each host."
    ),
    Agent.DNS: N_("Names which hosts take the mail of a domain (MX), and where these are (A, AAAA)."),
    Agent.SMTP: N_("Port 25, where one MTA gives a message to another."),
    Agent.FILTER: N_(
        "Programs that look at a message on its way (milters): signatures, spam. They add headers, or refuse it."
    ),
    Agent.ADDRESS: N_(
        "Where a recipient becomes another one: an alias, a list, a forwarding account, a domain alias."
    ),
    Agent.LMTP: N_("How the MTA gives a message to the MDA (Dovecot), which puts it into a mailbox."),
    Agent.MAILBOX: N_("The file that the message is in the end (Maildir)."),
    Agent.IMAP: N_("How a MUA reads a mailbox and leaves the messages on the server."),
    Agent.POP3: N_("How a MUA downloads a mailbox, and deletes the messages on the server."),
}
EVIDENCE = {
    Evidence.OBSERVED: Grade(
        "●", N_("observed"), N_("mailprov saw it itself, at the other end of the connection")
    ),
    Evidence.LOGGED: Grade("■", N_("logged"), N_("a server wrote it into its log")),
    Evidence.RECONSTRUCTED: Grade(
        "◇", N_("reconstructed"), N_("it follows from other steps, from headers or from the inventory")
    ),
    Evidence.MISSING: Grade("?", N_("missing"), N_("it must have happened, and nothing tells of it")),
}
OUTCOMES = {
    Outcome.DELIVERED: End("✓", N_("delivered"), "bold green"),
    Outcome.HANDED_ON: End("→", N_("handed on"), "bold green"),
    Outcome.DEFERRED: End("…", N_("deferred"), "bold yellow"),
    Outcome.REFUSED: End("✗", N_("refused"), "bold red"),
    Outcome.BOUNCED: End("✗", N_("bounced"), "bold red"),
    Outcome.HELD: End("!", N_("held"), "bold yellow"),
    Outcome.DELETED: End("-", N_("deleted"), "bold red"),
    Outcome.UNKNOWN: End("?", N_("unknown"), "bold magenta"),
}
DELAYS = (
    Delay("a", "before_queue", N_("{seconds} until it was in the queue")),
    Delay("b", "in_queue", N_("{seconds} waiting in the queue")),
    Delay("c", "connecting", N_("{seconds} for DNS, connecting and TLS")),
    Delay("d", "sending", N_("{seconds} for sending it")),
)
_NOTABLE = 0.1  # seconds that a clock differs by; less is lost in the time that a question over SSH takes


def place(step: Step) -> str:
    """IPv6 addresses get brackets before a port."""
    host = step.host
    if step.port:
        host = f"[{host}]:{step.port}" if ":" in host else f"{host}:{step.port}"
    return f"{_(AGENTS[step.agent])} {host}".rstrip()


def moment(step: Step) -> str:
    """Empty where it is not known. A clock that is behind may say that it was before the start."""
    if step.at is None:
        return ""
    return f"{'-' if step.at < 0 else '+'}{seconds(abs(step.at))}"


def seconds(number: float) -> str:
    if number < 120:
        digits = 3 if number < 1 else 2 if number < 10 else 1
        return _("{seconds} s").format(seconds=f"{number:.{digits}f}")
    minutes, rest = divmod(round(number), 60)
    if minutes < 120:
        return _("{minutes} min {seconds} s").format(minutes=minutes, seconds=rest)
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return _("{hours} h {minutes} min").format(hours=hours, minutes=minutes)
    days, hours = divmod(hours, 24)
    return _("{days} days {hours} h").format(days=days, hours=hours)


def offsets(trace: Trace) -> dict[str, float]:
    return {each.host: each.offset for each in trace.clocks if each.known and abs(each.offset) >= _NOTABLE}


def clock(one: Clock) -> str:
    if not one.known:
        return _("how the clock of {host} differs from this machine's is not known").format(host=one.host)
    if abs(one.offset) < _NOTABLE:
        return _("the clock of {host} agrees with this machine's").format(host=one.host)
    text = (
        _("the clock of {host} is {seconds} ahead of this machine's; its times are shown as it told them")
        if one.offset > 0
        else _("the clock of {host} is {seconds} behind this machine's; its times are shown as it told them")
    )
    return text.format(host=one.host, seconds=seconds(abs(one.offset)))
