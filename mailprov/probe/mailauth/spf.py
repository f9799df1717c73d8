"""SPF of a domain, evaluated on the answers of `clients.resolver`: records/spf_check.py, which lets NoAnswer through.

Public: check_host, records, USUAL_SIZE, SpfError, NotEvaluated.
"""

from __future__ import annotations

from mailprov.probe.clients.resolver import Answer
from mailprov.records import spf_text
from mailprov.records.spf_check import NotEvaluated, check_host
from mailprov.records.spf_text import USUAL_SIZE, SpfError

__all__ = ["USUAL_SIZE", "NotEvaluated", "SpfError", "check_host", "records"]


def records(answer: Answer) -> list[str]:
    """The SPF records among TXT values."""
    return spf_text.records(answer.values)
