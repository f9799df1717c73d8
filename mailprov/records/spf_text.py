"""The text of an SPF record, cut into its terms (RFC 7208 sections 4.6 and 12). Pure.

    is_spf(value), records(values)      which TXT values are SPF records
    parse(text) -> [Term]               raises SpfError for what is no term
    words(text) -> [Term]               also of a text that is none

Nothing is looked up here: `spf_check` evaluates, dns/spf_merge.py adds terms and takes them out again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailprov.i18n import _
from mailprov.model.values import dataclass

LOOKUP_LIMIT = 10  # RFC 7208 section 4.6.4
VOID_LIMIT = 2  # the same section: lookups that find nothing
USUAL_SIZE = 450  # octets that always fit into an answer (section 3.4)
# Those of which each costs one of the lookups, and so does `redirect=`.
LOOKING_UP = frozenset({"include", "a", "mx", "ptr", "exists"})

_MECHANISM = re.compile(
    r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::([^/]*[^/:\s][^/]*))?((?:/\d+)?(?://\d+)?)$", re.I
)
_MODIFIER = re.compile(r"([a-z][a-z0-9._-]*)=(.*)", re.I)


class SpfError(Exception):
    """A permanent error: receivers treat the domain as if its record were broken."""


@dataclass(frozen=True)
class Term:
    """`start` and `end`: where `text` stands in the record. Of a modifier (`redirect=…`) `mechanism` is empty and
    `modifier` its name; names are lower case. `qualifier`: one of + - ~ ?, also where the text has none.
    """

    text: str
    start: int
    end: int
    qualifier: str = "+"
    mechanism: str = ""
    value: str = ""
    cidr: str = ""
    modifier: str = ""


def is_spf(value: str) -> bool:
    """`v=spf1` alone, or followed by a blank (section 4.5)."""
    return re.match(r"v=spf1( |$)", value, re.I) is not None


def records(values: Iterable[str]) -> list[str]:
    """The SPF records among TXT values."""
    return [value for value in values if is_spf(value)]


def words(text: str) -> list[Term]:
    """What stands behind the version, in its order; of what is no term neither `mechanism` nor `modifier` is set."""
    found: list[Term] = []
    for each in list(re.finditer(r"\S+", text))[1:]:
        word, start, end = each[0], each.start(), each.end()
        if match := _MECHANISM.match(word):
            qualifier, mechanism, value, cidr = match.groups()
            found.append(Term(word, start, end, qualifier or "+", mechanism.lower(), value or "", cidr or ""))
        elif match := _MODIFIER.fullmatch(word):
            found.append(Term(word, start, end, value=match[2], modifier=match[1].lower()))
        else:
            found.append(Term(word, start, end))
    return found


def parse(text: str) -> list[Term]:
    """The terms in their order, without the version."""
    terms = words(text)
    for term in terms:
        if not term.mechanism and not term.modifier:
            raise SpfError(_("unknown term {term}").format(term=term.text))
        four, __, six = term.cidr.partition("//")
        sizes = ((four.lstrip("/"), 32), (six, 128))
        named = term.mechanism in ("a", "mx")  # what ip4 and ip6 have is an address as a whole
        if named and any(size and (len(size) > 3 or int(size) > most) for size, most in sizes):
            raise SpfError(_("{term} names a network that there is not").format(term=term.text))
    return terms
