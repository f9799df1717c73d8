"""Every probe: what it proves, its steps, its verdicts, its sources, from the table that `verify` runs.

page() -> str    docs/reference/probes.md
"""

from __future__ import annotations

from itertools import groupby

from mailprov import probe
from mailprov.probe.vantage import WORDS, Vantage
from scripts.reference.commands import text

HEAD = """\
# Probes

What `mailprov verify` looks at, in the order in which it tells it; `mailprov explain ID` prints the same. What the
verdicts mean, which accounts and domains take part, and how to run only some probes is said in
[Verification](../verification.md).

"""


def page() -> str:
    lines = []
    for family, entries in groupby(probe.catalogue(), key=lambda entry: entry.id.partition(".")[0]):
        lines += [f"## {family}", ""]
        for entry in entries:
            lines += [f"### {entry.id}", "", f"**{text(entry.title)}**", ""]
            lines += [f"Expected: {text(entry.expected)}"]
            if entry.ports:
                lines += ["", f"Ports: {', '.join(map(str, entry.ports))}"]
            if entry.vantage is not Vantage.ANYWHERE:
                lines += ["", f"Looks from: {text(WORDS[entry.vantage])}"]
            lines += ["", *(f"{number}. {text(step)}" for number, step in enumerate(entry.steps, start=1))]
            lines += ["", "| verdict | when |", "|---|---|"]
            lines += [f"| {verdict} | {text(when)} |" for verdict, when in entry.verdicts]
            lines += ["", f"Sources: {text(', '.join(entry.refs))}", ""]
    return HEAD + "\n".join(lines)
