"""Every probe and what `mailprov selftest` tries it against, from the table that it runs.

page() -> str    docs/reference/selftest.md
"""

from __future__ import annotations

from mailprov import probe
from mailprov.selftest import matrix
from scripts.reference.commands import text

HEAD = """\
# What probes are tried against

`mailprov selftest` runs each probe against something sound, where it must pass, and against each of these, where it
must give this verdict with the words that belong to it. What that proves, and what it does not, is said in
[Verification](../verification.md#who-judges-the-probes).

"""


def page() -> str:
    fixtures, untried = matrix.fixtures(), matrix.untried()
    lines = []
    for entry in probe.catalogue():
        rows = [
            (each.name, ", ".join(each.what), wanted)
            for each in fixtures
            for wanted in each.wanted
            if wanted.probe == entry.id
        ]
        lines += [
            f"## {entry.id}",
            "",
            f"{text(entry.title)} ([steps](probes.md#{entry.id.replace('.', '')})).",
            "",
        ]
        if not rows:
            why, test = untried[entry.id]
            lines += [f"Not tried by `selftest`: {text(why)} (see `{test}`).", ""]
            continue
        lines += ["| what is broken | port | it must say |", "|---|---|---|"]
        for _name, what, wanted in rows:
            port = str(wanted.port) if wanted.port else ""
            lines.append(f"| {cell(what) or 'nothing'} | {port} | {wanted.verdict.value} |")
        lines.append("")
    return HEAD + "\n".join(lines)


def cell(what: str) -> str:
    return text(what).replace("|", "\\|")
