"""How verification looks: the ports of each host, the probes that belong to no port, what is wrong, and a legend.

    render(findings, verbose)       tables first, then what needs a person, worst first; equal things once
    heads(findings)                 of what is wrong the first lines alone, for --quiet
    counts_line(findings)           "Probes: 120 pass, 2 fail."

Findings are brought together twice. What could not be tested only because a port does not answer (`waits_for`) is
counted at that port and told no more: a host where nothing runs is one cause, not a hundred errors. What else is equal
but for its place (probe, verdict, texts) is told once, with all places. `verbose` tells each finding by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from mailprov.i18n import N_, _, ngettext
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Profile
from mailprov.model.ports import ALL
from mailprov.model.values import dataclass
from mailprov.report import grouping
from mailprov.report.grouping import CONNECTS, RANK, Behind, causes, groups, ids, in_order
from mailprov.report.plans import places

SIGNS = {
    Verdict.PASS: ("✓", "green"),
    Verdict.WARN: ("!", "yellow"),
    Verdict.FAIL: ("✗", "bold red"),
    Verdict.ERROR: ("?", "bold magenta"),
    Verdict.SKIP: ("-", "dim"),
}
ORDER = (Verdict.FAIL, Verdict.ERROR, Verdict.WARN, Verdict.SKIP, Verdict.PASS)
_WRONG = ORDER[:3]
_WORDS = {
    Verdict.PASS: N_("proved"),
    Verdict.WARN: N_("works, but see below"),
    Verdict.FAIL: N_("wrong"),
    Verdict.ERROR: N_("could not be tested"),
    Verdict.SKIP: N_("left out"),
}
_COUNTED = {
    Verdict.WARN: lambda count: ngettext("{count} warning", "{count} warnings", count),
    Verdict.FAIL: lambda count: ngettext("{count} failed", "{count} failed", count),
    Verdict.ERROR: lambda count: ngettext("{count} not tested", "{count} not tested", count),
    Verdict.SKIP: lambda count: ngettext("{count} skipped", "{count} skipped", count),
}

# Column heading → ids of the probes it stands for.
COLUMNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (N_("connects"), ("net.tcp",)),
    (N_("greets"), ("smtp.banner", "imap.greeting", "pop.greeting")),
    (N_("offers"), ("smtp.ehlo", "imap.capability", "pop.capa", "sieve.capability")),
    ("TLS", ("tls.starttls", "tls.implicit")),
    (N_("trusted"), ("tls.chain", "tls.expiry")),
    (N_("name"), ("tls.name", "tls.sni")),
    (N_("no login\nin clear"), ("tls.enforced", "auth.not-on-25")),
    (N_("login"), ("auth.ok",)),
    (N_("wrong\nrefused"), ("auth.bad-password",)),
)
_COLUMN_OF = {probe: heading for heading, probes in COLUMNS for probe in probes}
_INDENT = 14  # of what stands beside a label
_PLACES = 6  # of one finding; of more the number is told
_TEXTS = 4  # that differ from place to place; of more the number is told


def render(findings: Iterable[Finding], *, verbose: bool) -> Iterator[RenderableType]:
    found = in_order(findings)
    behind = {} if verbose else grouping.behind(found)
    dots = False
    for table, dotted in _port_tables([finding for finding in found if _in_table(finding)]):
        yield table
        yield Text()
        dots = dots or dotted
    rest = [finding for finding in found if id(finding) not in behind]
    told = {finding.id for finding in rest if finding.verdict is not Verdict.SKIP}  # skips: see below
    others = [
        finding
        for finding in found
        if not _in_table(finding)
        and finding.id in told
        # Accounts that did not log in: told below, and a row of them would look as if nobody had.
        and not (finding.id in _COLUMN_OF and finding.verdict is Verdict.SKIP)
    ]
    if others:
        yield _other_table(others)
        yield Text()
    if found:
        yield _legend(found, dots)
        yield Text()
    if verbose:
        for verdict in ORDER:
            for finding in found:
                if finding.verdict is verdict:
                    yield from _detail([finding], {}, verbose=True)
        yield from _tasks(found)
        return
    for verdict in _WRONG:
        for cause in causes(rest, verdict):
            yield from _cause(cause, behind)
        for group in groups(rest, verdict):
            yield from _detail(group, behind)
    yield from _skipped(found)
    yield from _tasks(found)


def heads(findings: Iterable[Finding]) -> Iterator[RenderableType]:
    found = in_order(findings)
    behind = grouping.behind(found)
    rest = [finding for finding in found if id(finding) not in behind]
    for verdict in (Verdict.FAIL, Verdict.ERROR):
        for cause in causes(rest, verdict):
            yield _first_line(verdict, _cause_head(cause, behind))
        for group in groups(rest, verdict):
            yield _first_line(verdict, _head(group, behind).append(f": {group[0].observed}"))


def _waiting(group: Iterable[Finding], behind: Behind) -> str:
    """ "; 103 probes wait for that", or nothing."""
    names = {f"{finding.id} {finding.target}" for finding in group}
    count = sum(f"{cause.id} {cause.target}" in names for cause in behind.values())
    return (
        ngettext("; {count} probe waits for that", "; {count} probes wait for that", count).format(
            count=count
        )
        if count
        else ""
    )


def _skipped(findings: list[Finding]) -> Iterator[RenderableType]:
    """Why something was not tried, once for each reason: nobody should take it for a pass."""
    reasons: dict[str, Counter[str]] = {}
    for finding in findings:
        if finding.verdict is Verdict.SKIP and not finding.tasks:
            reasons.setdefault(finding.observed, Counter())[finding.id] += 1
    for why, times in reasons.items():
        text = Text().append(places(sorted(times)), style="bold")
        skipped = _("skipped {count}×: {reason}").format(count=times.total(), reason=why)
        yield _first_line(Verdict.SKIP, text.append(f"  {skipped}"))
    if reasons:
        yield Text()


def _tasks(findings: list[Finding]) -> Iterator[RenderableType]:
    """What nobody mends who reads this: whom to ask for what, each once."""
    asked: dict[str, list[Finding]] = {}
    for finding in findings:
        for task in finding.tasks:
            asked.setdefault(task, []).append(finding)
    if not asked:
        return
    yield Text(_("Tasks for others"), style="bold")
    for task, some in asked.items():
        places_of = f"{places(sorted({finding.id for finding in some}))} {_where(some)}"
        yield _Hanging(Text("  → ", style="yellow"), Text(task).append(f"  ({places_of})", style="dim"))
    yield Text()


def judged_by(findings: Iterable[Finding], profile: str) -> Text | None:
    """How much a profile that is not the usual one changed; the last line names it."""
    if profile in ("", Profile.DEFAULT.value):
        return None
    changed = sum(bool(finding.by_default) for finding in findings)
    if not changed:
        return None
    text = Text().append(_("Profile {name}").format(name=profile), style="bold")
    words = ngettext(
        "{count} verdict is another by default", "{count} verdicts are others by default", changed
    )
    return text.append(f": {words.format(count=changed)}")


def counts_line(findings: Iterable[Finding]) -> Text:
    count = Counter(finding.verdict for finding in findings)
    text = Text(f"{_('Probes:')} ", style="bold")
    for index, verdict in enumerate(v for v in Verdict if count[v]):
        text.append(", " if index else "").append(
            f"{count[verdict]} {verdict.value}", style=SIGNS[verdict][1]
        )
    if not count:
        text.append(_("none ran"), style="bold magenta")
    return text.append(".")


def _legend(findings: Iterable[Finding], dots: bool) -> Text:
    """The signs that occur."""
    used = {finding.verdict for finding in findings}
    text = Text()
    for verdict in (Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP):
        if verdict in used:
            sign, style = SIGNS[verdict]
            text.append("   " if text.plain else "").append(sign, style=style)
            text.append(f" {_(_WORDS[verdict])}")
    if dots:
        text.append(f"   · {_('not looked at here')}", style="dim")
    return text


def _in_table(finding: Finding) -> bool:
    return bool(finding.target.host and finding.target.port and finding.id in _COLUMN_OF)


_Row = tuple[int, str, tuple[Verdict | None, ...]]  # port, service, cells


def _port_tables(findings: Sequence[Finding]) -> Iterator[tuple[Table, bool]]:
    """One table for each host; hosts of which it would be the same share one. And whether a cell of it is empty."""
    equal: dict[tuple[_Row, ...], list[str]] = {}
    for host in dict.fromkeys(finding.target.host for finding in findings):
        rows: list[_Row] = []
        for port in ALL:
            here = [f for f in findings if f.target.host == host and f.target.port == port.number]
            if here:
                cells = tuple(
                    _worst(f for f in here if _COLUMN_OF[f.id] == heading) for heading, probes in COLUMNS
                )
                rows.append((port.number, port.service, cells))
        equal.setdefault(tuple(rows), []).append(host)
    for same, hosts in equal.items():
        addresses = dict.fromkeys(f.target.address for f in findings if f.target.host in hosts)
        title = Text(places(hosts), style="bold").append(f"  {places([*addresses])}", style="not bold dim")
        # One blank between columns: the table is 79 wide, and fits a terminal of 80.
        table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column(_("port"), justify="right", vertical="bottom")
        table.add_column(_("service"), vertical="bottom")
        for heading, _probes in COLUMNS:
            table.add_column(_(heading), justify="center", vertical="bottom")
        for number, service, cells in same:
            table.add_row(str(number), service, *map(_sign, cells))
        yield table, any(cell is None for row in same for cell in row[2])


def _worst(findings: Iterable[Finding]) -> Verdict | None:
    verdicts = {finding.verdict for finding in findings}
    return next((v for v in (*_WRONG, Verdict.PASS, Verdict.SKIP) if v in verdicts), None)


def _sign(verdict: Verdict | None) -> Text:
    return Text(*SIGNS[verdict]) if verdict else Text("·", style="dim")


def _other_table(findings: list[Finding]) -> Table:
    """One row a probe: worst verdict, how often it ran, what a pass proves. Where, is told of what is wrong, below."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", style="dim")
    table.add_column(overflow="fold")
    for probe in sorted({finding.id for finding in findings}):
        ran = [finding for finding in findings if finding.id == probe]
        worst = _worst(ran) or Verdict.SKIP
        table.add_row(Text(*SIGNS[worst]), probe, _tally(ran), ran[0].title)
    return table


def _tally(findings: Sequence[Finding]) -> str:
    """ "4×" where all passed, else "2 of 4, 2 skipped"."""
    count = Counter(finding.verdict for finding in findings)
    passed = count.pop(Verdict.PASS, 0)
    if not count:
        return f"{passed}×"
    others = [_COUNTED[v](count[v]).format(count=count[v]) for v in ORDER if count[v]]
    if not passed and len(others) == 1:
        return others[0]
    return ", ".join([_("{count} of {all}").format(count=passed, all=len(findings)), *others])


def _cause(findings: list[Finding], behind: Behind) -> Iterator[RenderableType]:
    yield _first_line(findings[0].verdict, _cause_head(findings, behind))
    yield from _rows([(_("observed"), findings[0].observed)])
    yield from _rows(_labelled(_("to do"), [*dict.fromkeys(f.advice for f in findings)]))
    yield Text()


def _cause_head(findings: list[Finding], behind: Behind) -> Text:
    """ "s2: nothing listens on 7 ports (25, 465, …); 103 probes wait for that"."""
    hosts = [*dict.fromkeys(finding.target.host for finding in findings)]
    numbers = sorted({finding.target.port for finding in findings}, key=lambda port: RANK.get(port, -1))
    refused = findings[0].verdict is Verdict.FAIL  # an error where there is no answer
    form = _("nothing listens on {ports}") if refused else _("no connection to {ports}")
    if len(numbers) > 1:
        ports = ngettext("{count} port ({ports})", "{count} ports ({ports})", len(numbers))
    else:
        ports = _("port {ports}")
    ports = ports.format(count=len(numbers), ports=", ".join(map(str, numbers)))
    text = Text().append(f"{CONNECTS}  {places(hosts)}: {form.format(ports=ports)}", style="bold")
    return text.append(_addresses(findings), style="dim").append(_waiting(findings, behind))


def _head(group: Sequence[Finding], behind: Behind) -> Text:
    text = Text().append(f"{places(ids(group), most=_PLACES)}  {_where(group)}", style="bold")
    text.append(_addresses(group), style="dim").append(_waiting(group, behind))
    return text.append(f"  {len(group)}×", style="dim") if len(group) > 1 else text


def _addresses(group: Iterable[Finding]) -> str:
    """Of one host; of several they would say nothing that their names do not."""
    hosts = {finding.target.host for finding in group}
    addresses = [*dict.fromkeys(finding.target.address for finding in group if finding.target.address)]
    return f" ({places(addresses)})" if addresses and len(hosts) == 1 else ""


def _where(group: Iterable[Finding]) -> str:
    """ "mx1:465, 587; mx2:993 ana@alpha.test"."""
    ports: dict[tuple[str, str], list[int]] = {}
    for finding in group:
        target = finding.target
        ports.setdefault((target.host or target.domain, target.account), []).append(target.port)
    shown = []
    for (place, account), numbers in ports.items():
        listed = ", ".join(map(str, sorted({n for n in numbers if n}, key=lambda n: RANK.get(n, -1))))
        shown.append(f"{place}:{listed} {account}".strip() if listed else f"{place} {account}".strip())
    if len(shown) == 1:
        return shown[0]
    more = [_("and {count} more").format(count=len(shown) - _PLACES)] if len(shown) > _PLACES else []
    between = "; " if any(":" in place for place in shown) else ", "
    return between.join([*shown[:_PLACES], *more])


def _detail(group: Sequence[Finding], behind: Behind, verbose: bool = False) -> Iterator[RenderableType]:
    first = group[0]
    one = len(ids(group)) == 1
    yield _first_line(first.verdict, _head(group, behind).append(f"  {first.title}" if one else ""))
    rows = [(_("expected"), first.expected)] if one else []
    rows += _labelled(_("observed"), _told([(finding.observed, finding) for finding in group]))
    rows += _labelled(_("profile"), _told([(finding.judged, finding) for finding in group]))
    rows += _labelled(_("to do"), _told([(_to_do(finding), finding) for finding in group]))
    if verbose:
        rows += [(_("see"), ", ".join(first.refs)), *(("", line) for line in first.evidence)]
    yield from _rows(rows)
    for remedy in dict.fromkeys(each.text for finding in group for each in finding.remedies):
        yield _Exact(remedy)
    yield Text()


def _to_do(finding: Finding) -> str:
    return _("see the tasks for others, below") if finding.tasks else finding.advice


def _told(texts: Iterable[tuple[str, Finding]]) -> list[str]:
    """Each text once; where they differ, with the places before it."""
    equal: dict[str, list[Finding]] = {}
    for text, finding in texts:
        if text:
            equal.setdefault(text, []).append(finding)
    if len(equal) == 1:
        return [*equal]
    lines = [f"{_where(some)}: {text}" for text, some in equal.items()]
    if len(lines) > _TEXTS + 1:
        lines[_TEXTS:] = [_("and {count} more (all with -v)").format(count=len(lines) - _TEXTS)]
    return lines


def _labelled(label: str, lines: Iterable[str]) -> list[tuple[str, str]]:
    return [("" if number else label, line) for number, line in enumerate(lines)]


def _first_line(verdict: Verdict, text: Text) -> _Hanging:
    return _Hanging(_sign(verdict).append(" "), text)


def _rows(rows: Iterable[tuple[str, str]]) -> Iterator[_Hanging]:
    for label, value in rows:
        if value:
            yield _Hanging(Text(f"    {label:<9} ", style="dim"), Text(value))


@dataclass(frozen=True)
class _Exact:
    """What is to be copied and would be broken at the terminal's edge among other words: on a line of its own there."""

    text: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if console.is_terminal and len(self.text) > options.max_width - _INDENT:
            yield Text(self.text, no_wrap=True, overflow="ignore", style="bold")


@dataclass(frozen=True)
class _Hanging:
    """A line that a terminal breaks at words, below where its text began. Elsewhere it is one line, for grep."""

    before: Text
    text: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not console.is_terminal:
            yield Text().append_text(self.before).append_text(self.text)
            return
        grid = Table.grid()
        grid.add_column(width=self.before.cell_len)
        grid.add_column(overflow="fold")
        grid.add_row(self.before, self.text)
        yield grid
