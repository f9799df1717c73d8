"""What reads reports, each as strict as the program that it stands for: raises AssertionError or ValueError.

json_schema(value, schema)    the words of JSON Schema that docs/report.schema.json uses, and no others
junit(text)                   elements and attributes of the schema of Jenkins (xUnit plugin) and Surefire
tap(text) -> list[Point]      TAP 14: version, plan, points in order, directives, YAML blocks
commands(text)                workflow commands of GitHub Actions, taken apart as its runner does
plugin(text)                  the line of a plugin: state, text, figures
metrics(text)                 text format 0.0.4 of Prometheus: each series once, families together
page(text)                    HTML whose elements are closed, that fetches nothing and has a policy
sarif(text)                   what SARIF 2.1.0 requires of the parts that are used
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import ruamel.yaml

from tests.unit.report.pages import Parsed

_TYPES: dict[str, Any] = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
    "null": type(None),
}  # fmt: skip
_NOTES = {"$schema", "$defs", "title", "description"}


def json_schema(
    value: Any, schema: dict[str, Any], whole: dict[str, Any] | None = None, at: str = "$"
) -> None:
    whole = whole or schema
    for word, told in schema.items():
        if word in _NOTES:
            continue
        if word == "$ref":
            json_schema(value, whole["$defs"][told.removeprefix("#/$defs/")], whole, at)
        elif word == "const":
            assert value == told, at
        elif word == "enum":
            assert value in told, (at, value)
        elif word == "type":
            kinds = told if isinstance(told, list) else [told]
            is_bool = isinstance(value, bool)
            assert any(
                isinstance(value, _TYPES[kind]) and is_bool == (kind == "boolean") for kind in kinds
            ), (
                at,
                value,
            )
        elif word == "required":
            assert set(told) <= value.keys(), (at, set(told) - value.keys())
        elif word == "properties":
            for key, part in told.items():
                if key in value:
                    json_schema(value[key], part, whole, f"{at}.{key}")
        elif word == "additionalProperties":
            for key in value.keys() - schema.get("properties", {}).keys():
                json_schema(value[key], told, whole, f"{at}.{key}")
        elif word == "items":
            for number, part in enumerate(value):
                json_schema(part, told, whole, f"{at}[{number}]")
        elif word == "pattern":
            assert re.search(told, value), (at, value)
        elif word == "minimum":
            assert value >= told, at
        elif word == "maximum":
            assert value <= told, at
        else:
            raise AssertionError(f"{at}: a word that this reader does not know: {word}")


# Element → its attributes (True: required), its children.
_JUNIT: dict[str, tuple[dict[str, bool], set[str]]] = {
    "testsuites": (
        dict.fromkeys(("name", "time", "tests", "failures", "disabled", "errors"), False),
        {"testsuite"},
    ),
    "testsuite": (
        {
            "name": True,
            "tests": True,
            **dict.fromkeys(
                (
                    "failures",
                    "errors",
                    "time",
                    "disabled",
                    "skipped",
                    "timestamp",
                    "hostname",
                    "id",
                    "package",
                ),
                False,
            ),
        },
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name": True, "classname": True, "assertions": False, "time": False, "status": False},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "skipped": ({"message": False}, set()),
    "error": ({"message": False, "type": False}, set()),
    "failure": ({"message": False, "type": False}, set()),
    "system-out": ({}, set()),
    "system-err": ({}, set()),
}


def junit(text: str) -> ET.Element:
    root = ET.fromstring(text)
    assert root.tag == "testsuites"
    for element in root.iter():
        attributes, children = _JUNIT[element.tag]
        assert set(element.attrib) <= attributes.keys(), element.attrib
        assert {name for name, needed in attributes.items() if needed} <= set(element.attrib)
        assert {child.tag for child in element} <= children
        for name in ("tests", "failures", "errors", "skipped"):
            assert re.fullmatch(r"\d+", element.get(name, "0"))
        assert re.fullmatch(r"\d+\.\d+", element.get("time", "0.0"))
    for suite in root:
        names = [(case.get("classname"), case.get("name")) for case in suite]
        assert len(names) == len(set(names)) == int(suite.get("tests", "0"))
        for tag, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert int(suite.get(count, "0")) == len(suite.findall(f"testcase/{tag}"))
    return root


class Point(NamedTuple):
    ok: bool
    text: str
    directive: str
    reason: str
    block: dict[str, Any]


_POINT = re.compile(r"(ok|not ok) (\d+) - ((?:[^#\\]|\\.)*?)(?: # (SKIP|TODO)\b ?((?:[^#\\]|\\.)*))?")


def tap(text: str) -> tuple[list[Point], str]:
    """The points, and why it bailed out."""
    assert text.endswith("\n")
    lines = text[:-1].split("\n")
    assert lines.pop(0) == "TAP version 14"
    plan = -1
    points: list[Point] = []
    block: list[str] | None = None
    for line in lines:
        if block is not None:
            assert line.startswith("  ")
            if line == "  ...":
                made = ruamel.yaml.YAML(typ="safe", pure=True).load("\n".join(part[2:] for part in block))
                points[-1] = points[-1]._replace(block=made)
                block = None
            else:
                block.append(line)
        elif line == "  ---":
            assert points
            assert not points[-1].block
            block = []
        elif line.startswith("Bail out!"):
            assert line == lines[-1]
            return points, line.removeprefix("Bail out!").strip()
        elif match := re.fullmatch(r"1\.\.(\d+)( # SKIP .*)?", line):
            assert plan == -1
            plan = int(match[1])
        else:
            match = _POINT.fullmatch(line)
            assert match, line
            assert int(match[2]) == len(points) + 1
            plain = [re.sub(r"\\(.)", r"\1", match[n] or "") for n in (3, 5)]
            points.append(Point(match[1] == "ok", plain[0], match[4] or "", plain[1], {}))
    assert block is None
    assert plan == len(points)
    return points, ""


class Command(NamedTuple):
    level: str
    properties: dict[str, str]
    message: str


def commands(text: str) -> list[Command]:
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"::(error|warning|notice)( [^:]*)?::(.*)", line)
        assert match, line
        words = dict(word.split("=", 1) for word in (match[2] or "").strip().split(",") if word)
        assert words.keys() <= {"title", "file", "line", "col"}, words
        found.append(
            Command(match[1], {key: _unescaped(value) for key, value in words.items()}, _unescaped(match[3]))
        )
    return found


def _unescaped(text: str) -> str:
    assert not re.search(r"%(?!25|0D|0A|3A|2C)", text), text
    for code, sign in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, sign)
    return text


def plugin(text: str) -> tuple[str, str, dict[str, str]]:
    assert text.count("\n") == 1
    assert text.endswith("\n")
    match = re.fullmatch(r"MAIL (OK|WARNING|CRITICAL|UNKNOWN) - ([^|]*) \| ([^|]*)\n", text)
    assert match, text
    figures = {}
    for word in match[3].split(" "):
        figure = re.fullmatch(r"([a-z_]+)=(-?\d+(?:\.\d+)?)(s|)(;\d*){0,4}", word)
        assert figure, word
        figures[figure[1]] = figure[2]
    return match[1], match[2], figures


_SERIES = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (-?\d+(?:\.\d+)?)')


def metrics(text: str) -> dict[str, float]:
    assert text.endswith("\n")
    family, seen, found = "", Counter[str](), {}
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            seen[family] += 1
            continue
        if line.startswith("# TYPE "):
            assert line == f"# TYPE {family} gauge"
            continue
        match = _SERIES.fullmatch(line)
        assert match, line
        assert match[1] == family
        key = line.rpartition(" ")[0]
        assert key not in found, f"twice: {key}"
        found[key] = float(match[3])
    assert set(seen.values()) == {1}, "a family stands once"
    return found


def page(text: str) -> Parsed:
    parsed = Parsed(text)
    assert not parsed.inside
    names = [tag for tag, _ in parsed.elements]
    assert names.count("html") == names.count("main") == names.count("style") == names.count("script") == 1
    ids = [each["id"] for _, each in parsed.elements if "id" in each]
    assert len(ids) == len(set(ids))
    for tag, attributes in parsed.elements:
        unwanted = {"src", "srcset", "action", "style", "srcdoc", "background"}
        assert not [name for name in attributes if name in unwanted or name.startswith("on")], (
            tag,
            attributes,
        )
        if "href" in attributes:
            assert attributes["href"].removeprefix("#") in ids, attributes["href"]
    (policy,) = [
        each["content"]
        for tag, each in parsed.elements
        if tag == "meta" and each.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert {rules["default-src"], rules["base-uri"], rules["form-action"]} == {"'none'"}
    for kind in ("style", "script"):
        (content,) = parsed.raw[kind]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"
    return parsed


def sarif(text: str) -> dict[str, Any]:
    told = json.loads(text)
    assert told.keys() == {"$schema", "version", "runs"}
    assert told["version"] == "2.1.0"
    (run,) = told["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] == "mailprov"
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["message"]["text"]
        (location,) = result["locations"]
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"[A-Za-z0-9._~/%-]+", uri), uri
        assert not uri.startswith("/")
        assert location["physicalLocation"]["region"]["startLine"] >= 1
        assert location["physicalLocation"]["region"]["startColumn"] >= 1
        (print_,) = result["partialFingerprints"].values()
        assert re.fullmatch("[0-9a-f]{32}", print_)
    (invocation,) = run["invocations"]
    assert isinstance(invocation["executionSuccessful"], bool)
    for each in invocation["toolExecutionNotifications"]:
        assert each["message"]["text"]
        assert each["level"] in ("none", "note", "warning", "error")
    return told
