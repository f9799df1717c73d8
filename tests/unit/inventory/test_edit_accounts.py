"""Accounts are edited in an inventory's text, and nothing else in it changes: by examples, and by made-up files."""

from __future__ import annotations

import dataclasses
import difflib
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailprov.errors import InputError
from mailprov.inventory import SecretMode, load
from mailprov.inventory.composer import events_in_python
from mailprov.inventory.edit import nodes
from mailprov.inventory.edit.accounts import Inventory

HEAD = """\
hosts:  # the only one
    mx1: {address: 192.0.2.1,   fqdn: mx1.example.org}
domains:
"""
NEW = {"password": {"hash": "{SHA512-CRYPT}$6$a$b"}, "quota": "1G"}
LINE = 'new: {password: {hash: "{SHA512-CRYPT}$6$a$b"}, quota: 1G}'


def domain(text: str) -> str:
    return HEAD + text


def difference(old: str, new: str) -> tuple[list[str], list[str]]:
    """Lines that are gone, and lines that have come."""
    lines = list(difflib.ndiff(old.splitlines(True), new.splitlines(True)))
    gone = [line[2:].rstrip("\r\n") for line in lines if line.startswith("- ")]
    come = [line[2:].rstrip("\r\n") for line in lines if line.startswith("+ ")]
    return gone, come


# What stands at the domain → what goes, what comes.
ADDED = {
    "lines": (
        "  example.org:\n    hosts: [mx1]\n    accounts:\n      ana: {password: {env: A}}   # boss\n"
        "      # luis left\n\n    catch_all: ana\n",
        [],
        [f"      {LINE}"],
    ),
    "deep lines": (
        "   example.org:\n      accounts:\n         ana:\n            password:\n                env: A\n"
        "      hosts: [mx1]\n",
        [],
        [
            "         new:",
            "            password:",
            '            hash: "{SHA512-CRYPT}$6$a$b"'.replace("            hash", "               hash"),
            "            quota: 1G",
        ],
    ),
    "no accounts": (
        "  example.org:\n    hosts: [mx1]\n    # nobody yet\n",
        [],
        ["    accounts:", f"      {LINE}"],
    ),
    "accounts without a value": (
        "  example.org:\n    accounts:   # none\n    hosts: [mx1]\n",
        [],
        [f"      {LINE}"],
    ),
    "empty braces": (
        "  example.org:\n    accounts: {}  # none\n    hosts: [mx1]\n",
        ["    accounts: {}  # none"],
        [f"    accounts: {{{LINE}}}  # none"],
    ),
    "braces in one line": (
        "  example.org: {hosts: [mx1], accounts: {ana: {password: {env: A}}}}\n",
        ["  example.org: {hosts: [mx1], accounts: {ana: {password: {env: A}}}}"],
        [f"  example.org: {{hosts: [mx1], accounts: {{ana: {{password: {{env: A}}}}, {LINE}}}}}"],
    ),
    "braces without accounts": (
        "  example.org: {hosts: [mx1]}\n",
        ["  example.org: {hosts: [mx1]}"],
        [f"  example.org: {{hosts: [mx1], accounts: {{{LINE}}}}}"],
    ),
    "braces over lines": (
        "  example.org:\n    hosts: [mx1]\n    accounts: {\n\t  ana: {password: {env: A}}  # a, b\n    }\n",
        ["\t  ana: {password: {env: A}}  # a, b"],
        ["\t  ana: {password: {env: A}},  # a, b", f"\t  {LINE}"],
    ),
    "a comma at the end": (
        "  example.org:\n    hosts: [mx1]\n    accounts: {\n      ana: {password: {env: A}},\n    }\n",
        [],
        [f"      {LINE},"],
    ),
    "a comma and a brace": (
        "  example.org:\n    hosts: [mx1]\n    accounts: {ana: {password: {env: A}},}\n",
        ["    accounts: {ana: {password: {env: A}},}"],
        [f"    accounts: {{ana: {{password: {{env: A}}}}, {LINE}}}"],
    ),
    "JSON": (
        '  {"example.org": {"hosts": ["mx1"], "accounts": {"ana": {"password": {"env": "A"}}}}}\n',
        None,
        [
            '  {"example.org": {"hosts": ["mx1"], "accounts": {"ana": {"password": {"env": "A"}}, '
            '"new": {"password": {"hash": "{SHA512-CRYPT}$6$a$b"}, "quota": "1G"}}}}'
        ],
    ),
    "anchors": (
        "  example.net:\n    hosts: [mx1]\n    accounts:\n      ana: &usual {password: {env: A}}\n"
        "  example.org:\n    hosts: [mx1]\n    accounts:\n      ana: *usual\n      eva: {<<: *usual, quota: 1M}\n",
        [],
        [f"      {LINE}"],
    ),
    "a name in capitals, with a dot": (
        '  "Example.ORG.":\n    hosts: [mx1]\n    accounts:\n      Ana: {password: {env: A}}\n',
        [],
        [f"      {LINE}"],
    ),
    "a block scalar at the end": (
        "  example.org:\n    hosts: [mx1]\n    accounts:\n      ana:\n        password:\n          command: |\n"
        "            pass show ana\n\n  # end\n",
        [],
        None,
    ),
}


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("name", ADDED)
def test_an_account_is_added(name: str, end: str) -> None:
    text, gone, come = ADDED[name]
    text = domain(text).replace("\n", end)
    new = Inventory(text, "mail.yml").added("new@example.org", NEW).text

    assert (gone, come) == (
        gone if gone is None else difference(text, new)[0],
        come if come is None else difference(text, new)[1],
    )
    assert set(re.findall("\r?\n", new)) == {end}
    back = Inventory(new, "mail.yml").removed("new@example.org").text
    if "accounts" in text and "accounts: {}" not in text and "accounts:   #" not in text:
        assert back.replace(",", "") == text.replace(",", "")  # a comma may stay behind


def test_a_file_without_a_last_line_end_keeps_having_none() -> None:
    text = domain("  example.org:\n    hosts: [mx1]\n    accounts:\n      ana: {password: {env: A}}")
    new = Inventory(text, "mail.yml").added("new@example.org", NEW).text

    assert new == f"{text}\n      {LINE}"
    assert Inventory(new, "mail.yml").removed("new@example.org").text == text


# Account, keys → the account afterwards.
CHANGED = {
    "a key in braces": (
        "{password: {env: A}, quota: 1M}",
        {"quota": "2G"},
        "{password: {env: A}, quota: 2G}",
    ),
    "a new key in braces": ("{password: {env: A} }", {"quota": "2G"}, "{password: {env: A}, quota: 2G }"),
    "a secret in another form": (
        "{password: { env: A }}",
        {"password": {"file": "secrets/ana"}},
        "{password: { file: secrets/ana }}",
    ),
    "a secret with an anchor of its own": (
        "{password: &p {command: [a, b]}}",
        {"password": {"env": "B"}},
        "{password: &p {env: B}}",
    ),
    "a list in place of a list": (
        "{password: {env: A}, forward: {to: [a@x.test, b@x.test]}}",
        {"forward": {"to": ["c@x.test"], "keep": False}},
        "{password: {env: A}, forward: {to: [c@x.test], keep: false}}",
    ),
    "lines": (
        "\n        password:   # the password\n          env: A   # from the vault\n        quota: 1M  # small",
        {"password": {"env": "B"}, "quota": "none"},
        "\n        password:   # the password\n          env: B   # from the vault\n        quota: none  # small",
    ),
    "a new line": (
        "\n        password: {env: A}   # here\n",
        {"quota": "1G"},
        "\n        password: {env: A}   # here\n        quota: 1G\n",
    ),
    "lines become braces": (
        "\n        password: {env: A}\n        forward:\n          to:\n          - a@x.test   # c",
        {"forward": {"to": ["b@x.test"]}},
        "\n        password: {env: A}\n        forward: {to: [b@x.test]}   # c",
    ),
    "a key taken out": (
        "{password: {env: A}, quota: 1M, forward: {to: [a@x.test]}}",
        {"quota": None},
        "{password: {env: A}, forward: {to: [a@x.test]}}",
    ),
    "a line taken out": (
        "\n        password: {env: A}\n        forward:\n        # why\n          to: [a@x.test]\n        quota: 1M",
        {"forward": None},
        "\n        password: {env: A}\n        quota: 1M",
    ),
    "the same": ("{password: {env: A}, quota: 1M}", {"quota": "1M"}, "{password: {env: A}, quota: 1M}"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_an_account_is_changed(name: str) -> None:
    old, keys, new = CHANGED[name]
    around = domain(
        "  example.org:\n    hosts: [mx1]\n    accounts:\n      ana: %s\n      eva: {password: {env: E}}\n"
    )
    done = Inventory(around % old, "mail.yml").changed("ana@example.org", keys)

    assert done.text == around % new
    assert done.line == 7


REMOVED = {
    "a line": ("      ana: {password: {env: A}}  # boss\n", "      eva: {password: {env: E}}\n", True),
    "lines": (
        "      ana:\n        # of ana\n        password: {env: A}\n        quota: 1G   # much\n",
        "      # behind\n\n      eva: {password: {env: E}}\n",
        True,
    ),
    "the last": ("      ana: {password: {env: A}}\n", "      # nobody else\n", False),
}


@pytest.mark.parametrize("name", REMOVED)
def test_an_account_is_removed(name: str) -> None:
    own, rest, others = REMOVED[name]
    before = domain("  example.org:\n    hosts: [mx1]\n    accounts:")
    done = Inventory(f"{before}\n{own}{rest}    quota: 1G\n", "mail.yml").removed("ana@example.org")

    assert done.text == f"{before}{'' if others else ' {}'}\n{rest}    quota: 1G\n"
    assert done.line == 7


BRACES = {
    "{ana: {password: {env: A}}, eva: {password: {env: E}}}": "{eva: {password: {env: E}}}",
    "{eva: {password: {env: E}}, ana: {password: {env: A}}}": "{eva: {password: {env: E}}}",
    "{eva: {password: {env: E}}, ana: {password: {env: A}},}": "{eva: {password: {env: E}}}",
    "{ana: {password: {env: A}}}": "{}",
    "{ana: {password: {env: A}},}": "{}",
    "{ # who\n  ana: {password: {env: A}},  # a\n  eva: {password: {env: E}}\n}": (
        "{ # who\n  eva: {password: {env: E}}\n}"
    ),
    "{\n  eva: {password: {env: E}},  # e\n  ana: {password: {env: A}}  # a\n}": (
        "{\n  eva: {password: {env: E}},  # e\n}"
    ),
}


@pytest.mark.parametrize("old", BRACES)
def test_an_account_is_removed_from_braces(old: str) -> None:
    around = domain("  example.org: {hosts: [mx1], accounts: %s}\n")
    assert Inventory(around % old, "mail.yml").removed("ana@example.org").text == around % BRACES[old]


# What stands at the domain, what is to be done, where it is told and what.
UNSAFE = {
    "accounts by an alias": (
        "  example.net: {hosts: [mx1], accounts: &all {ana: {password: {env: A}}}}\n"
        "  example.org: {hosts: [mx1], accounts: *all}\n",
        "add",
        "5:41: what stands here is an alias",
    ),
    "accounts that are shared": (
        "  example.org: {hosts: [mx1], accounts: &all {ana: {password: {env: A}}}}\n"
        "  example.net: {hosts: [mx1], accounts: *all}\n",
        "add",
        "4:31: what stands here cannot be edited without a change of something else",
    ),
    "accounts by a merge key": (
        "  example.net: &net {hosts: [mx1], accounts: {ana: {password: {env: A}}}}\n"
        "  example.org: {<<: *net, hosts: [mx1]}\n",
        "add",
        "4:36: what stands here comes from somewhere else by `<<`",
    ),
    "an account by an alias": (
        "  example.org: {hosts: [mx1], accounts: {eva: &e {password: {env: A}}, ana: *e}}\n",
        "set",
        "4:77: what stands here is an alias",
    ),
    "an account that others repeat": (
        "  example.org: {hosts: [mx1], accounts: {ana: &e {password: {env: A}}, eva: *e}}\n",
        "set",
        "4:42: what stands here cannot be edited without a change of something else",
    ),
    "an anchor that goes": (
        "  example.org: {hosts: [mx1], accounts: {ana: &e {password: {env: A}}, eva: *e}}\n",
        "remove",
        "4:42: what stands here has the anchor `&e`",
    ),
    "a comment that would go": (
        "  example.org:\n    hosts: [mx1]\n    accounts:\n      ana:\n        password: {env: A}\n        forward:\n"
        "          # why\n          to: [a@x.test]\n",
        "forward",
        "10:11: what stands here is a comment",
    ),
    "a list": (
        "  example.org: {hosts: [mx1], accounts: [ana]}\n",
        "add",
        "4:41: what stands here is not a mapping",
    ),
    "a text": (
        "  example.org: {hosts: [mx1], accounts: ana}\n",
        "add",
        "4:41: what stands here is not a mapping",
    ),
    "a domain without a value": ("  example.org:\n", "add", "4:15: what stands here is not a mapping"),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_a_form_that_cannot_be_edited_is_refused_with_its_place(name: str) -> None:
    text, what, told = UNSAFE[name]
    edit = Inventory(domain(text), "mail.yml")
    doing = {
        "add": lambda: edit.added("new@example.org", NEW),
        "set": lambda: edit.changed("ana@example.org", {"quota": "2G"}),
        "forward": lambda: edit.changed("ana@example.org", {"forward": {"to": ["b@x.test"]}}),
        "remove": lambda: edit.removed("ana@example.org"),
    }
    with pytest.raises(InputError) as caught:
        doing[what]()
    assert str(caught.value).startswith(f"mail.yml:{told}")
    assert "\n" not in str(caught.value)


def test_what_leads_to_an_account_is_found() -> None:
    text = domain(
        "  example.org:\n    hosts: [mx1]\n    domain_aliases: [example.net]\n    accounts:\n"
        "      ana: {password: {env: A}, forward: {to: [Ana@example.org, x@y.test]}}\n"
        "      eva: {password: {env: E}, forward: {to: [x@y.test, ANA@example.net]}}\n"
        "    aliases: {boss: ana, other: eva, postmaster: ana@example.org}\n    lists: {all: [eva, ana]}\n"
        "    catch_all: ana\n    dmarc: {policy: none, rua: ana}\n    tls_rpt: ana\n"
        "  other.test: {hosts: [mx1], catch_all: ana@example.org, aliases: {ana: x@y.test}}\n"
    )
    found = Inventory(text, "m").addresses.references("ana@example.org")
    assert [(each.what, each.place) for each in found] == [
        ("alias boss@example.org", "m:10:21"),
        ("alias postmaster@example.org", "m:10:50"),
        ("list all@example.org", "m:11:24"),
        ("forward of eva@example.org", "m:9:58"),
        ("catch-all of example.org", "m:12:16"),
        ("tls_rpt of example.org", "m:14:14"),
        ("dmarc.rua of example.org", "m:13:32"),
        ("catch-all of other.test", "m:15:41"),
    ]


WORDS = st.sampled_from(["", "", "  # why, {not}: 'this\"", "\t# 100 % ñ", "   "])
BETWEEN = st.lists(st.sampled_from(["", "   ", "# a comment: {a, b}", "      # deeper", "#"]), max_size=2)
NAMES = ["ana", "luis.garcia", "1234", "no", "o'brien", "a=b", "x_y", "null"]


@st.composite
def files(draw: st.DrawFn) -> tuple[str, list[str]]:
    """An inventory written in some way, and its accounts."""
    end, step = draw(st.sampled_from(["\n", "\r\n"])), draw(st.integers(1, 5))
    pad = " " * step
    count = draw(st.integers(1, 2))
    lines = [
        "# made up",
        "hosts:",
        f"{pad}mx1: {{address: 192.0.2.1, fqdn: mx1.example.org}}{draw(WORDS)}",
        "domains:",
    ]
    accounts = []
    for number in range(count):
        own = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4))
        accounts += [f"{name}@d{number}.test" for name in own]
        lines += [f"{pad}d{number}.test:{draw(WORDS)}", *draw(BETWEEN), f"{pad * 2}hosts: [mx1]{draw(WORDS)}"]
        form = draw(st.sampled_from(["lines", "deep", "braces", "rows", "comma"]))
        quote = draw(st.sampled_from(["", '"']))
        written = [f"{quote}{name}{quote}" for name in own]
        if not own:
            if draw(st.booleans()):
                lines.append(f"{pad * 2}accounts: {{}}{draw(WORDS)}")
        elif form == "braces":
            inner = ", ".join(f"{name}: {{password: {{env: A}}}}" for name in written)
            lines.append(f"{pad * 2}accounts: {{{inner}}}{draw(WORDS)}")
        elif form in ("rows", "comma"):
            lines.append(f"{pad * 2}accounts: {{{draw(WORDS)}")
            for index, name in enumerate(written):
                last = index + 1 == len(written) and form == "rows"
                lines += [f"{pad * 3}{name}: {{password: {{env: A}}}}{'' if last else ','}{draw(WORDS)}"]
            lines += [f"{pad * 2}}}"]
        else:
            lines.append(f"{pad * 2}accounts:{draw(WORDS)}")
            for name in written:
                lines += draw(BETWEEN)
                if form == "deep" and draw(st.booleans()):
                    lines += [
                        f"{pad * 3}{name}:{draw(WORDS)}",
                        f"{pad * 4}password:{draw(WORDS)}",
                        f"{pad * 5}env: A{draw(WORDS)}",
                    ]
                    if draw(st.booleans()):
                        lines += [f"{pad * 4}quota: 1M{draw(WORDS)}"]
                else:
                    lines += [f"{pad * 3}{name}: {{password: {{env: A}}, quota: 5M}}{draw(WORDS)}"]
        lines += draw(BETWEEN)
        if draw(st.booleans()):
            lines += [f"{pad * 2}quota: 3G{draw(WORDS)}"]
    lines += draw(BETWEEN)
    return end.join(lines) + (end if draw(st.booleans()) else ""), accounts


def loaded(text: str, folder: Path) -> dict[str, object]:
    """By address; and everything else."""
    path = folder / "mail.yml"
    path.write_bytes(text.encode())
    read = load(path, SecretMode.IGNORE)
    found: dict[str, object] = {a.address: a for each in read.domains for a in each.accounts}
    rest = tuple(dataclasses.replace(each, accounts=()) for each in read.domains)
    return {**found, "": dataclasses.replace(read, domains=rest)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("edit")


@settings(max_examples=120, deadline=None)
@given(files(), st.randoms(use_true_random=False))
def test_nothing_else_changes(folder: Path, made: tuple[str, list[str]], chance: random.Random) -> None:
    text, accounts = made
    before = loaded(text, folder)
    new = Inventory(text, "mail.yml").added("new@d0.test", NEW).text
    after = loaded(new, folder)
    assert {**after, "new@d0.test": None} == {**before, "new@d0.test": None}
    assert after["new@d0.test"].quota == 2**30  # type: ignore[attr-defined]
    _only_lines(text, new)

    if not accounts:
        return
    one = chance.choice(accounts)
    key = chance.choice(
        [{"quota": "7G"}, {"password": {"file": "secrets/x"}}, {"forward": {"to": ["a@b.test"]}}]
    )
    new = Inventory(text, "mail.yml").changed(one, key).text
    after = loaded(new, folder)
    assert {**after, one: None} == {**before, one: None}
    assert after[one] != before[one]
    _only_lines(text, new)

    new = Inventory(text, "mail.yml").removed(one).text
    after = loaded(new, folder)
    assert after == {key: value for key, value in before.items() if key != one}
    _only_lines(text, new)


def _only_lines(old: str, new: str) -> None:
    """One place has changed: what stands before it and behind it is the same, and only commas and `{}` in lines that
    are otherwise as before.
    """
    a, b = old.splitlines(True), new.splitlines(True)
    blocks = [
        code
        for code in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
        if code[0] != "equal"
    ]
    assert len(blocks) <= 2
    for _, i1, i2, j1, j2 in blocks:
        gone, come = a[i1:i2], b[j1:j2]
        assert abs(len(gone) - len(come)) <= 4
        comments = [re.findall(r"(?:^|\s)#.*", line) for line in gone]
        if len(come) >= len(gone):
            kept = "".join(come)
            assert all(each.strip() in kept for line in comments for each in line)
    ends = {"\r\n" if line.endswith("\r\n") else "\n" for line in b[:-1]}
    assert len(ends) == 1


@settings(max_examples=60, deadline=None)
@given(files())
def test_both_parsers_see_the_same_places(made: tuple[str, list[str]]) -> None:
    """libyaml and its twin in Python put what is empty at different characters."""
    text = f"{made[0].rstrip()}\nempty:\n\nlast: {{a: , b}}\n".replace(
        "\t", " "
    )  # the one in Python takes no tab before a comment
    fast = _places(nodes.Tree(text).top)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodes, "events", events_in_python)
        assert _places(nodes.Tree(text).top) == fast


def _places(node: nodes.Node) -> list[object]:
    own: list[object] = [node.kind, node.start, node.end, node.text, node.flow]
    parts = [*node.items, *(each for entry in node.entries for each in entry)]
    return own + [_places(each) for each in parts]
