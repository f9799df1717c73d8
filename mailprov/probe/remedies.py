"""What to do about a record, in the words that all probes of DNS use. Pure.

publish(records)                 add or change these
publish_alone(record, start)     the same, and nothing like it beside it
"""

from __future__ import annotations

from mailprov.i18n import _


def publish(records: str) -> str:
    return _("publish {records}").format(records=records)


def publish_alone(record: str, start: str) -> str:
    return _("publish {record}, and nothing else that starts with {start}").format(record=record, start=start)
