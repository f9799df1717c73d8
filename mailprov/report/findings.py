"""How verification looks: the ports of each host, the probes that belong to no port, what is wrong, counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mailprov.model.findings import Finding, Verdict
from mailprov.model.ports import PORTS, SIEVE_PORT

SIGNS = {
    Verdict.PASS: ("✓", "green"),
    Verdict.WARN: ("!", "yellow"),
    Verdict.FAIL: ("✗", "bold red"),
    Verdict.ERROR: ("?", "bold magenta"),
    Verdict.SKIP: ("-", "dim"),
}
ORDER = (Verdict.FAIL, Verdict.ERROR, Verdict.WARN, Verdict.SKIP, Verdict.PASS)

# Column heading → ids of the probes it stands for.
COLUMNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("connects", ("net.tcp",)),
    ("greets", ("smtp.banner", "imap.greeting", "pop.greeting")),
    ("offers", ("smtp.ehlo", "imap.capability", "pop.capa", "sieve.capability")),
    ("TLS", ("tls.starttls", "tls.implicit")),
    ("trusted", ("tls.chain", "tls.expiry")),
    ("name", ("tls.name", "tls.sni")),
    ("no login\nin clear", ("tls.enforced", "auth.not-on-25")),
    ("login", ("auth.ok",)),
    ("wrong\nrefused", ("auth.bad-password",)),
)
_COLUMN_OF = {probe: heading for heading, probes in COLUMNS for probe in probes}


def render(findings: Iterable[Finding], *, verbose: bool) -> Iterator[RenderableType]:
    """Tables first, then what needs a person, then one line of counts."""
    found = sorted(findings, key=lambda f: (f.target.host, f.target.domain))  # probes end in any order
    for host in dict.fromkeys(f.target.host for f in found if _in_table(f)):
        yield _port_table(host, [f for f in found if f.target.host == host and _in_table(f)])
        yield Text()
    others = [f for f in found if not _in_table(f)]
    if others:
        yield _other_table(others)
        yield Text()
    shown = (Verdict.FAIL, Verdict.ERROR, Verdict.WARN) if not verbose else ORDER
    for verdict in ORDER:
        if verdict in shown:
            for finding in found:
                if finding.verdict is verdict:
                    yield from _detail(finding, verbose)
    if not verbose:
        yield from _skipped(found)
    yield counts_line(found)


def _skipped(findings: list[Finding]) -> Iterator[Text]:
    """Why something was not tried, once for each reason: nobody should take it for a pass."""
    reasons = Counter((f.id, f.observed) for f in findings if f.verdict is Verdict.SKIP)
    sign, style = SIGNS[Verdict.SKIP]
    for (probe, why), times in sorted(reasons.items()):
        yield Text(f"{sign} ", style=style).append(probe, style="bold").append(f"  skipped {times}×: {why}")
    if reasons:
        yield Text()


def counts_line(findings: Iterable[Finding]) -> Text:
    count = Counter(finding.verdict for finding in findings)
    text = Text("Probes: ", style="bold")
    for index, verdict in enumerate(v for v in Verdict if count[v]):
        text.append(", " if index else "").append(
            f"{count[verdict]} {verdict.value}", style=SIGNS[verdict][1]
        )
    if not count:
        text.append("none ran", style="bold magenta")
    return text.append(".")


def _in_table(finding: Finding) -> bool:
    return bool(finding.target.host and finding.target.port and finding.id in _COLUMN_OF)


def _port_table(host: str, findings: list[Finding]) -> Table:
    """One row a port; each cell is the worst verdict over the host's addresses (the details below name the address)."""
    addresses = ", ".join(dict.fromkeys(f.target.address for f in findings))
    title = Text(host, style="bold").append(f"  {addresses}", style="not bold dim")
    # One blank between columns: the table is 79 wide, and fits a terminal of 80.
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("port", justify="right", vertical="bottom")
    table.add_column("service", vertical="bottom")
    for heading, _ in COLUMNS:
        table.add_column(heading, justify="center", vertical="bottom")
    for port in (*PORTS, SIEVE_PORT):
        here = [f for f in findings if f.target.port == port.number]
        if here:
            cells = [_cell([f for f in here if _COLUMN_OF[f.id] == heading]) for heading, _ in COLUMNS]
            table.add_row(str(port.number), port.service, *cells)
    return table


def _worst(findings: Iterable[Finding]) -> Verdict | None:
    verdicts = {finding.verdict for finding in findings}
    return next((v for v in (*ORDER[:3], Verdict.PASS, Verdict.SKIP) if v in verdicts), None)


def _cell(findings: list[Finding]) -> Text:
    verdict = _worst(findings)
    return Text(*SIGNS[verdict]) if verdict else Text("·", style="dim")


def _other_table(findings: list[Finding]) -> Table:
    """One row a probe: worst verdict, how often it ran (of how many, where some were skipped), what a pass proves, and
    where.
    """
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    table.add_column(style="dim", overflow="fold")
    for probe in sorted({finding.id for finding in findings}):
        ran = [finding for finding in findings if finding.id == probe]
        worst = _worst(ran) or Verdict.SKIP
        where = dict.fromkeys(finding.target.domain or finding.target.host for finding in ran)
        shown = [*where][:4] + (["…"] if len(where) > 4 else [])
        tried = sum(finding.verdict is not Verdict.SKIP for finding in ran)
        count = f"{len(ran)}×" if tried in (0, len(ran)) else f"{tried} of {len(ran)}×"
        table.add_row(Text(*SIGNS[worst]), probe, count, ran[0].title, ", ".join(shown))
    return table


def _detail(finding: Finding, verbose: bool) -> Iterator[Text]:
    sign, style = SIGNS[finding.verdict]
    yield (
        Text(f"{sign} ", style=style)
        .append(f"{finding.id}  {finding.target}", style="bold")
        .append(f" ({finding.target.address})" if finding.target.address else "", style="dim")
        .append(f"  {finding.title}")
    )
    rows = [("expected", finding.expected), ("observed", finding.observed), ("to do", finding.advice)]
    if verbose:
        rows += [("see", ", ".join(finding.refs)), *(("", line) for line in finding.evidence)]
    for label, value in rows:
        if value:
            yield Text(f"    {label:<9} ", style="dim").append(value, style="")
    yield Text()
