"""How queues look: the numbers of each host, the reasons, the oldest messages, and what was left out.

    render(states, messages, verbose) -> Iterator[Text]     hosts in the order of `states`
    age(seconds) -> str                                     "3 d 4 h"

For somebody with three messages and for somebody with a hundred thousand: a table of hosts first, then for each host
its reasons with counts and the messages that it told of, three lines each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rich.filesize import decimal

from mailprov.i18n import N_, _, ngettext
from mailprov.model.queue import QUEUES, WORDS, QueuedMessage, QueueState
from mailprov.report.plain_text import Text
from mailprov.report.plans import places

_REASONS = 8  # of a host
_RECIPIENTS = 3  # of a message
_HINTS = (
    (N_("what happened to one"), "mailprov trace --queue-id ID"),
    (N_("try one again now"), "mailprov queue --flush --id ID"),
)
_REASON = 160  # characters of a reason


def render(
    states: Sequence[QueueState], messages: Sequence[QueuedMessage], *, verbose: bool = False
) -> Iterator[Text]:
    full = [state for state in states if state.messages]
    yield from _table(states)
    by_host: dict[str, list[QueuedMessage]] = {}
    for message in messages:
        by_host.setdefault(message.subject, []).append(message)
    for state in full:
        mine = sorted(by_host.get(state.subject, ()), key=lambda one: (one.arrived, one.queue_id))
        yield from _host(state, mine, verbose=verbose)
    if full:
        yield Text()
        for words, command in _HINTS:
            yield Text(f"  {_(words)}: {command}", style="dim")


def _table(states: Sequence[QueueState]) -> Iterator[Text]:
    """Queues that are empty everywhere have no column, hosts whose queue is empty share a line."""
    full = [state for state in states if state.everything]
    if full:
        columns = [name for name in QUEUES if name == "deferred" or any(getattr(one, name) for one in full)]
        heads = [_("messages"), *(_(WORDS[name]) for name in columns), _("oldest")]
        rows = [
            [
                state.subject,
                _of(state),
                *(f"{getattr(state, name):,}" for name in columns),
                age(state.now - state.oldest) if state.oldest else "-",
            ]
            for state in full
        ]
        widths = [max(map(len, column)) for column in zip(["", *heads], *rows, strict=True)]
        yield Text("  " + "  ".join([" " * widths[0], *map(str.rjust, heads, widths[1:])]), style="dim")
        for row, state in zip(rows, full, strict=True):
            cells = [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
            yield Text("  " + "  ".join(cells))
            for text in state.over:
                yield Text(f"  {' ' * widths[0]}  {text}", style="bold red")
    empty = [state.subject for state in states if not state.everything]
    if empty:
        yield Text(f"  {places(empty)}: ").append(_("nothing in the queue"), style="green")


def _of(state: QueueState) -> str:
    if state.messages == state.everything:
        return f"{state.messages:,}"
    return _("{count} of {everything}").format(
        count=f"{state.messages:,}", everything=f"{state.everything:,}"
    )


def _host(state: QueueState, messages: Collection[QueuedMessage], *, verbose: bool) -> Iterator[Text]:
    yield Text()
    yield Text(state.subject, style="bold")
    yield from _reasons(state, verbose=verbose)
    if not messages:
        return
    left = state.messages - len(messages)
    if state.reasons:
        yield Text()
    if left:
        words = ngettext("The {count} oldest message:", "The {count} oldest messages:", len(messages))
        yield Text(f"  {words.format(count=len(messages))}", style="dim")
    for message in messages:
        yield from _message(message, state.now, verbose=verbose)
    if left:
        words = _(
            "not shown: {count} (--all shows them; --id, --sender, --recipient, --reason look for some)"
        )
        yield Text(f"  {words.format(count=f'{left:,}')}", style="dim")


def _reasons(state: QueueState, *, verbose: bool) -> Iterator[Text]:
    shown = state.reasons if verbose else state.reasons[:_REASONS]
    width = max((len(f"{one.messages:,}") for one in shown), default=0)
    for one in shown:
        text = Text(f"  {one.messages:>{width},} × ", style="yellow")
        yield text.append(one.text).append(
            f"  ({_('oldest: {age}').format(age=age(state.now - one.oldest))})", "dim"
        )
    more = len(state.reasons) - len(shown)
    others = state.other_reasons + sum(one.messages for one in state.reasons[len(shown) :])
    if more or others:
        words = ngettext("{count} message with rarer reasons", "{count} messages with rarer reasons", others)
        yield Text(f"  {words.format(count=f'{others:,}')}", style="dim")


def _message(message: QueuedMessage, now: float, *, verbose: bool) -> Iterator[Text]:
    line = Text("  ").append(message.queue_id, style="bold")
    parts = [_(WORDS[message.queue]), age(now - message.arrived), decimal(message.size)]
    if message.queue == "deferred" and message.next_try:
        wait = message.next_try - now
        parts.append(_("next try in {age}").format(age=age(wait)) if wait > 0 else _("next try now"))
    if verbose and message.given_up:
        left = message.given_up - now
        parts.append(
            _("given up in {age}").format(age=age(left)) if left > 0 else _("given up at the next try")
        )
    if message.instance:
        parts.append(message.instance)
    yield line.append(f"  {', '.join(parts)}")
    shown = message.recipients if verbose else message.recipients[:_RECIPIENTS]
    more = message.recipient_count - len(shown)
    to = [one.address for one in shown] + ([_("{count} more").format(count=more)] if more > 0 else [])
    yield Text(f"    {message.sender or _('<> (a bounce)')} → {', '.join(to)}")
    for reason in dict.fromkeys(one.reason for one in shown if one.reason):
        cut = reason if verbose or len(reason) <= _REASON else f"{reason[: _REASON - 1]}…"
        yield Text(f"      {cut}", style="dim")


def age(seconds: float) -> str:
    """The two largest units; a clock that was set back gives 0 s."""
    left = max(0, int(seconds))
    units = ((86400, _("d")), (3600, _("h")), (60, _("min")), (1, _("s")))
    for place, (size, word) in enumerate(units):
        if left >= size or size == 1:
            text = f"{left // size} {word}"
            rest = units[place + 1] if place < 2 else (0, "")  # of minutes and seconds one unit says enough
            return (
                f"{text} {left % size // rest[0]} {rest[1]}" if rest[0] and left % size >= rest[0] else text
            )
    return ""
