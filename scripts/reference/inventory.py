"""Every key of the inventory, its type, what it is for and whether it is needed: from the schema of the reader.

page() -> str              docs/reference/inventory.md; at its end inventories/example.yml, which shows every key
objects(schema), resolved(schema, node)    for tests: its mappings, and a node whose $ref was followed
"""

from __future__ import annotations

from typing import Any

from mailprov.inventory import example_text, json_schema
from scripts.reference.commands import text

HEAD = """\
# Inventory

The file is YAML. What is needed: `hosts` with `address` and `fqdn`, `domains` with `hosts`, and a `password` for each
account; everything else may be left out. Unknown keys are refused, and so is every reference that leads nowhere;
`mailprov validate` names all mistakes with file, line and column. `~` in a path is your home, and a relative path
begins at the folder of the inventory.

`mailprov schema` prints the JSON Schema from which this page is made; an editor with a YAML language server checks and
completes with it. `mailprov init --example` prints the [example](#the-example-with-every-key) at the end of this page.

"""


def page() -> str:
    schema = json_schema()
    places = objects(schema)
    lines: list[str] = []
    for name, paths in places.items():
        node = resolved(schema, {"$ref": name}) if name else schema
        lines += [f"## `{paths[0]}`" if name else "## The file", ""]
        lines += [text(_sentence(node.get("description", ""))), ""]
        if len(paths) > 1:
            lines += [f"The same: {', '.join(f'`{path}`' for path in paths[1:])}.", ""]
        lines += ["| key | value | |", "|---|---|---|"]
        for key, value in node["properties"].items():
            needed = " **Needed.**" if key in node.get("required", []) else ""
            what = value.get("description") or resolved(schema, value).get("description", "")
            link = _link(key, schema, value, places)
            lines.append(f"| {link} | {_kind(schema, value)} | {text(_sentence(what))}{needed} |")
        lines.append("")
    example = example_text().rstrip("\n")
    lines += ["## The example with every key", "", "```yaml", example, "```", ""]
    return HEAD + "\n".join(lines)


def objects(schema: dict[str, Any]) -> dict[str, list[str]]:
    """Each mapping that has keys of its own (its $ref; "" for the file) → the paths at which it stands."""
    found: dict[str, list[str]] = {}
    waiting: list[tuple[str, dict[str, Any]]] = [("", schema)]
    while waiting:
        path, node = waiting.pop(0)
        name = str(node.get("$ref", ""))
        node = resolved(schema, node)
        if "properties" not in node:
            continue
        paths = found.setdefault(name, [])
        paths.append(path)
        if len(paths) > 1:
            continue
        for key, value in node["properties"].items():
            inner, suffix = _inside(schema, value)
            waiting.append(((f"{path}.{key}" if path else key) + suffix, inner))
    return found


def _inside(schema: dict[str, Any], value: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """What has the keys: the value itself, or each value of a mapping with free names, or each item of a list."""
    real = resolved(schema, value)
    for each in real.get("anyOf", ()):  # a mapping, or a word such as off
        if "$ref" in each:
            return each, ""
    if isinstance(real.get("additionalProperties"), dict) and "properties" not in real:
        return real["additionalProperties"], ".NAME"
    if isinstance(real.get("items"), dict):
        return real["items"], "[]"
    return value, ""


def resolved(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found: Any = schema
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = {**found, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def _link(key: str, schema: dict[str, Any], value: dict[str, Any], places: dict[str, list[str]]) -> str:
    inner, _ = _inside(schema, value)
    wanted = inner.get("$ref")
    return f"[`{key}`](#{_anchor(places[wanted][0])})" if wanted in places else f"`{key}`"


def _anchor(path: str) -> str:
    """As MkDocs makes it of the heading."""
    return "".join(sign for sign in path.lower() if sign.isalnum() or sign in "_-")


def _kind(schema: dict[str, Any], value: dict[str, Any]) -> str:
    real = resolved(schema, value)
    if "enum" in real:
        return ", ".join(f"`{each}`" for each in real["enum"])
    if "anyOf" in real:
        return " or ".join(dict.fromkeys(_kind(schema, each) for each in real["anyOf"]))
    kind = real.get("type", "")
    if kind == "array":
        return f"list of {_kind(schema, real['items'])}"
    if kind == "integer":
        low, high = real.get("minimum"), real.get("maximum")
        bounded = low is not None and high is not None and high < 2**32
        return f"{low} to {high}" if bounded else "number"
    if kind == "object":
        return "mapping"
    if kind == "string" and "pattern" in real:
        return "size, such as `200M`" + (", or `none`" if "none" in real["pattern"] else "")
    return {"string": "text", "boolean": "`true`, `false`"}.get(kind, kind or "text")


def _sentence(words: str) -> str:
    """A description begins small, as part of an error message; here it stands alone."""
    if not words:
        return ""
    first = words.split(maxsplit=1)[0].rstrip(":,")
    typed = first in _AS_WRITTEN or not first.isalpha()
    capital = words if typed else words[0].upper() + words[1:]
    return capital if capital.endswith((".", "!")) else f"{capital}."


# Words that a sentence begins with and that are values of the key: they are written as they are typed, and so are names
# with other signs than letters (`dns-01`, `ssh_config`).
_AS_WRITTEN = {"rsa", "none", "builtin", "rspamd", "ufw", "false", "ecdsa", "default"}
