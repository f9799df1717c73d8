"""--report markdown=FILE: for the summary of a job (`$GITHUB_STEP_SUMMARY`), a merge request or a ticket.

How it went, a table of what is wrong (worst first, one row for one cause), and folded below it each finding with its
conversation. GitHub drops a summary of more than 1 MiB as a whole, so at LIMIT octets it is cut, with a line that
says so; what is wrong stands first. All texts are escaped: in text by character references, which CommonMark (section
2.5) never reads as structure, and conversations inside `pre`.
"""

from __future__ import annotations

import html
from collections.abc import Iterator

from mailprov.i18n import N_, _, ngettext
from mailprov.model.findings import Finding, Verdict
from mailprov.report.whole_run import Making, WholeRun, by_profile, details, headline, name
from mailprov.report.wrong_things import others, wrong

LIMIT = 1_000_000  # octets, below 2**20 with what else a job writes into its summary
SIGNS = {
    Verdict.PASS: "✅",
    Verdict.WARN: "⚠️",
    Verdict.FAIL: "❌",
    Verdict.ERROR: "❓",
    Verdict.SKIP: "➖",
}
_CELL = 2000  # characters of one cell
_STRUCTURE = {ord(c): f"&#{ord(c)};" for c in "\\`*_{}[]()#+-.!|~@:$^="}
_COLUMNS = ("", N_("probe"), N_("where"), N_("observed"), N_("to do"))


def render(run: WholeRun, making: Making) -> str:
    parts = list(_parts(run))
    size, kept = 0, []
    for number, part in enumerate(parts):
        size += len(part.encode()) + 1
        if size > LIMIT:
            left = len(parts) - number
            cut = ngettext(
                "Cut here: {count} more part would not fit into the summary of a job.",
                "Cut here: {count} more parts would not fit into the summary of a job.",
                left,
            )
            kept.append(f"\n**{_text(cut.format(count=left))}**\n")
            break
        kept.append(part)
    return "\n".join(kept)


def _parts(run: WholeRun) -> Iterator[str]:
    """Each is whole by itself but for rows of the table, which may be left out at its end."""
    title = f"mailprov {run.command} {run.inventory}".strip()
    yield f"## {_text(title)}\n\n**{_text(headline(run))}**"
    if not run.complete:
        yield f"\n**{_text(_('This run did not come to its end; what it had found until then is below.'))}**"
    counts = [f"{SIGNS[verdict]} {count} {verdict.value}" for verdict, count in run.counts.items() if count]
    if counts:
        yield "\n" + " · ".join(counts)
    if told := by_profile(run):
        yield f"\n{_text(told)}"
    rows = [*others(run), *wrong(run.findings)]
    if rows:
        yield "\n| " + " | ".join(_text(_(each)) if each else " " for each in _COLUMNS) + " |"
        yield "|---|---|---|---|---|"
        for row in rows:
            cells = (row.probe, row.where, row.observed, row.advice)
            yield f"| {SIGNS[row.verdict]} | " + " | ".join(_text(cell[:_CELL]) for cell in cells) + " |"
    yield ""
    for finding in run.ordered:
        if finding.verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.WARN):
            yield _folded(finding)
    yield from _rest(run)


def _folded(finding: Finding) -> str:
    lines = "\n".join(html.escape(line) for line in details(finding))
    head = _text(f"{SIGNS[finding.verdict]} {name(finding)}: {finding.observed or finding.title}")
    return f"<details><summary>{head}</summary>\n\n<pre>\n{lines}\n</pre>\n\n</details>\n"


def _rest(run: WholeRun) -> Iterator[str]:
    """What passed and what was left out, in one fold."""
    some = [f for f in run.ordered if f.verdict in (Verdict.PASS, Verdict.SKIP)]
    if not some:
        return
    title = ngettext("{count} passed or left out", "{count} passed or left out", len(some)).format(
        count=len(some)
    )
    lines = "\n".join(
        html.escape(f"{finding.verdict.value:<5} {name(finding)}: {finding.observed}") for finding in some
    )
    yield f"<details><summary>{_text(title)}</summary>\n\n<pre>\n{lines}\n</pre>\n\n</details>\n"


def _text(text: str) -> str:
    """As a reader sees it, whatever it holds."""
    return html.escape(text, quote=False).translate(_STRUCTURE)
