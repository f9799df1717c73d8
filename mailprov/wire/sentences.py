"""The agent's sentences in its messages: SENTENCE becomes text that model/sentences.py can translate.

    understood(message) -> message     with a str in each place of a sentence, in English

The message has passed wire/shapes.py. Raises nothing.
"""

from __future__ import annotations

from typing import Any

from mailprov.model.sentences import read

_FIELDS = ("text", "what", "advice", "compared")


def understood(message: dict[str, Any]) -> dict[str, Any]:
    made = dict(message)
    for name in _FIELDS:
        if name in made:
            made[name] = read(made[name])
    if "change" in made:
        made["change"] = _change(made["change"])
    if "changes" in made:
        made["changes"] = [_change(change) for change in made["changes"]]
    if "takes_over" in made:
        made["takes_over"] = [read(sentence) for sentence in made["takes_over"]]
    if "gaps" in made:
        made["gaps"] = [{"text": read(gap["text"])} for gap in made["gaps"]]
    if "runs" in made:
        made["runs"] = [{**run, "status": read(run["status"])} for run in made["runs"]]
    return made


def _change(change: dict[str, Any]) -> dict[str, Any]:
    detail = change.get("detail", "")
    return change if isinstance(detail, str) else {**change, "detail": read(detail)}
