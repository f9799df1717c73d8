"""Collect the sentences that people read for translators, and compile what they have translated: `make messages`.

    template() -> str       mailprov/locale/mailprov.pot, as it should be now (a test holds the file against it)
    main                    writes it, merges it into each locale/LANGUAGE/LC_MESSAGES/mailprov.po, and makes the .mo

What is collected: the arguments of `_`, `N_`, `NN_` and `ngettext` (mailprov/i18n.py), those of `_` in pages
(templates/*/*.html.j2), and the docstrings of commands, which are their help. References name files without lines, so
that the file changes with the words alone. Merging needs Babel.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "mailprov"
LOCALE = PACKAGE / "locale"
POT = LOCALE / "mailprov.pot"
TEMPLATES = PACKAGE.parent / "templates"
Message = tuple[str, str]  # the text, and the text for several or ""
_IN_PAGES = re.compile(r"""\b_\((["'])(.*?)\1\)""")

_HEAD = """\
# Sentences of mailprov. Written by `make messages`; do not edit.
msgid ""
msgstr ""
"Project-Id-Version: mailprov\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"""


def messages() -> dict[Message, list[str]]:
    """Each with the files that it stands in."""
    found: dict[Message, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for message in dict.fromkeys(_of(ast.parse(path.read_text(encoding="utf-8")))):
            found.setdefault(message, []).append(str(path.relative_to(PACKAGE.parent)))
    for path in sorted(TEMPLATES.rglob("*.html.j2")):
        for text in dict.fromkeys(_IN_PAGES.findall(path.read_text(encoding="utf-8"))):
            found.setdefault((text[1], ""), []).append(str(path.relative_to(PACKAGE.parent)))
    return found


def _of(tree: ast.Module) -> Iterator[Message]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            if node.func.id in ("_", "N_") and texts:
                yield str(texts[0]), ""
            elif node.func.id in ("ngettext", "NN_") and len(texts) > 1:
                yield str(texts[0]), str(texts[1])
        elif isinstance(node, ast.FunctionDef) and _is_command(node) and (text := ast.get_docstring(node)):
            yield inspect.cleandoc(text), ""


def _is_command(node: ast.FunctionDef) -> bool:
    """Decorated with @app.command, or with typer's parameters, as the commands that cli/app.py collects."""
    decorated = any("app.command" in ast.unparse(each) for each in node.decorator_list)
    arguments = [*node.args.args, *node.args.kwonlyargs]
    returns = node.returns is not None and ast.unparse(node.returns) == "None"
    typed = {ast.unparse(each.annotation) for each in arguments if each.annotation is not None}
    return decorated or (returns and "Json" in typed)


def template() -> str:
    parts = [_HEAD]
    for (one, many), files in sorted(messages().items()):
        lines = [f"#: {file}" for file in files]
        if re.search(r"\{\w*[^{}]*\}", one):
            lines.append("#, python-brace-format")
        lines += [f"msgid {_quoted(one)}"]
        lines += [f"msgid_plural {_quoted(many)}", 'msgstr[0] ""', 'msgstr[1] ""'] if many else ['msgstr ""']
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _quoted(text: str) -> str:
    lines = [
        '"' + line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
        for line in text.splitlines(keepends=True)
    ]
    return lines[0] if len(lines) == 1 else "\n".join(['""', *lines])


def main() -> None:
    LOCALE.mkdir(exist_ok=True)
    POT.write_text(template(), encoding="utf-8")
    translated = sorted(LOCALE.glob("*/LC_MESSAGES/mailprov.po"))
    if not translated:
        return
    from babel.messages import mofile, pofile

    with open(POT, "rb") as file:
        wanted = pofile.read_po(file)
    for path in translated:
        with open(path, "rb") as file:
            catalogue = pofile.read_po(file, locale=path.parent.parent.name)
        catalogue.update(wanted)
        with open(path, "wb") as file:
            pofile.write_po(file, catalogue, include_lineno=False, width=120)
        with open(path.with_suffix(".mo"), "wb") as file:
            mofile.write_mo(file, catalogue)


if __name__ == "__main__":
    main()
