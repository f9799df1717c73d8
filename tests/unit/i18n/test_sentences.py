"""What people read passes through gettext, in all packages.

A sentence is a text with two words in a row. What looks like one and is none (shell, configuration, headers of formats)
is in NO_SENTENCES, or stands in a module of OTHER_TEXTS.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mailprov.components import registry
from mailprov.dns.providers import every
from mailprov.inventory import json_schema
from mailprov.inventory.host_settings import settings
from mailprov.records.types import TYPES
from mailprov.schema.entry import COMPOSED

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "mailprov"

CONVERTED = {
    "agent",
    "cli",
    "client",
    "components",
    "desired",
    "dns",
    "inventory",
    "lab",
    "model",
    "plan",
    "probe",
    "records",
    "report",
    "run",
    "schema",
    "selftest",
    "trace",
    "transport",
    "wire",
    "errors.py",
}
NOTHING_TO_SAY = {
    "__init__.py",
    "__main__.py",
    "i18n.py",
}  # __main__ speaks where the rest cannot be imported

ERRORS = {
    "DnsFailed",
    "DnsUnreachable",
    "DnsUnsure",
    "HostFailed",
    "HostUnreachable",
    "InputError",
    "Interrupted",
    "LabError",
    "NotBelieved",
    "ReportFailed",
    "SecretError",
}
COULD_NOT_TEST = {
    "BadSignature",
    "ConnectionClosed",
    "Mute",
    "NoAnswer",
    "NoSuchMessage",
    "NoZone",
    "NotEvaluated",
    "ProbeError",
    "ProtocolError",
    "QueryTimeout",
    "ReadTimeout",
    "Refused",
    "ResponseInjection",
    "SpfError",
    "TemporaryFailure",
    "TlsError",
    "Unreachable",
    "UntrustedCertificate",
}
FINDINGS = {"passed", "warn", "failed", "error", "skip"}  # methods of probe.context.Context
# Call → from which argument on they are sentences. What comes before says where, by names.
SENTENCES = {
    **dict.fromkeys(ERRORS, 1),
    "Interrupted": 0,
    "Notice": 1,
    "Progress": 1,
    "Problem": 4,
    "BadName": 0,
    **dict.fromkeys(COULD_NOT_TEST, 0),
    **dict.fromkeys(FINDINGS, 0),
    "finding": 1,
    "probe": 2,
}
PROBE = {
    "expected",
    "steps",
    "verdicts",
    "unless",
}  # of the decorator; verdicts are names, and their texts are not
HELP = {"help", "short_help"}
_WORDS = re.compile(r"[A-Za-z]{2,}[,;:]? [a-z]{2,}")
NO_SENTENCES = re.compile(
    r"dkim (show|rotate)|tls rotate|account (add|set|suspend|remove)|dns (plan|apply|export|check|move|providers)|"
    r"lab \w*|"  # commands
    r"(bold |not bold |bold)?(red|green|yellow|magenta|dim)|"  # styles
    r"\{?mode: .*|dmarc: .*|"  # what init writes
    r"(# |`)?mailprov (dkim|dns|lab|plan|apply|trust|init|trace|queue)\b.*|"
    r"`?(provider|tsig|url|token|application_\w+|consumer_key|endpoint|class): .*|pdnsutil .*|"  # an example of `dns:`
    r"\(made by the apply\)|"  # in place of a key, in a value
    r"# Managed by mailprov.*|# (signing|carry).*|"  # the head of a file of hosts: no language changes these
    r".*(\(\?P<|\.\*|[A-Za-z]\|[A-Za-z]).*|Host key verification failed|Incompatible ssh peer|"  # what ssh says
    r"may not run sudo|not in the sudoers file|is not allowed to|I'm afraid I can't do that|"  # what sudo says
    r"password is required|authentication required|interactive authentication|if test .*|"
    r"jump host|"  # part of a name
    r"delivery temporarily suspended:|sh -c 'exec sendmail .*|"  # what Postfix says; a command line
    r"handed on|"  # of model/trace.py: a value, for programs
    r"(doveadm|doveconf|fail2ban-client|postconf|postqueue|ss) .*|"  # on hosts; in advice a placeholder stands for them
    r"systemctl status .*|"
    r"auth_mechanisms = .*|--key-type .*|mailbox |.*auto = subscribe, .*|"  # what is to be written there
    r"permit_mynetworks, .*|"
    r"(quoted|block) scalar|(flow|block) (sequence|mapping|collection)|simple key|an (alias|anchor)|tab character|"
    r"(mapping values|sequence entries) are not allowed|document start|YAML document|"  # what YAML's parsers say
    r"mailprov inventory|as the top-level `|How records are published\.|What may be said for all hosts and for one\.|"
    r"`, for this host|\[ana, luis\]|"  # the schema is in English
    r"# Local settings, from .*|# The login at .*|- n n - 0 spawn .*|comes too late: the .*|"
    r"`?pip install.*|prereq.*|update add.*|pass show .*|`\{file: path\}`|"  # examples
    r"link to|an unknown time|failed after the commit point|an error in mailprov \(|"  # of journals
    r"chown root|more lines|ok installed|Setting up|Waiting for cache lock|Ask for help|Saving debug|See the logfile|"
    r"# (Local settings of this host, from|replaced below:)|ok|"
    r"# dmarc: \{policy: quarantine\}|web: true|"  # as init writes it
    r"its folders are being moved while they are read|its controller was gone|ok, without its controller|"
    r"interrupted by the user|disk full|interrupted after the commit point|ok, finished by the next run|"
    r"draft-[a-z-]+ section \d+|MS-OXDSCLI section [\d.]+|Apple Device Management, [a-z.]+|"  # sources of probes
    r"surrogatepass|debian-\d+ or debian-\d+|debian-\d+ or debian-testing|unicode_escape",
    re.DOTALL,
)
# What is no text where a sentence is expected: commands, keys of the inventory, beginnings of records and replies.
NAMES = re.compile(
    r"(hosts|domains)\.|\.(address|tls)|mailprov (dkim|dns) \w+|"
    r"(doveadm|doveconf|fail2ban-client|postconf|postqueue|ss) .*|"
    r"v=(spf1|DMARC1)|mailto:|'smtpd_\w+ = \w+'|dmarc: \{policy: none\}|VRFY: |; EXPN: |\* OK|EHLO.*|CAPA(BILITY)?\."
)
SILENT_CALLS = {"compile", "fullmatch", "N_", "NN_", "_", "ngettext", "getattr", "sub"}


# Modules that write configuration or commands; what they give to the calls of SENTENCES is held all the same.
OTHER_TEXTS = {
    "agent/verbose/overlay.py",
    "components/dovecot/files.py",
    "components/fail2ban.py",
    "components/opendkim.py",
    "components/passwords.py",
    "components/postfix/addresses.py",
    "components/postfix/files.py",
    "components/postfix/local_users.py",
    "components/postfix/spoofing.py",
    "components/webmail/refusals.py",
    "components/shell/component.py",
    "components/srs.py",
    "components/sshd.py",
    "components/states.py",
    "components/templates.py",
    "lab/acme_server.py",
    "lab/hosts.py",
    "lab/keys.py",
    "lab/lab_inventory.py",
    "lab/nameserver.py",
    "lab/network.py",
    "lab/rootfs.py",
    "lab/supervise.py",
    "lab/ubuntu.py",
    "report/github.py",
    "report/prometheus.py",
    "report/tap.py",
    "agent/resources/bans.py",
    "transport/start/sudo.py",
    "wire/bundle.py",
    "trace/postfix.py",  # what Postfix logs
    "probe/mailauth/message.py",  # the messages that probes send
    "probe/mailauth/copies.py",
    "probe/mailauth/letters.py",
    # What scripted servers say.
    "selftest/account_cases.py",
    "selftest/address_cases.py",
    "selftest/certificates.py",
    "selftest/dane_cases.py",
    "selftest/delivery_cases.py",
    "selftest/delivery_reports.py",
    "selftest/exchange_online.py",
    "selftest/hosted_cases.py",
    "selftest/letter_cases.py",
    "selftest/mailbox_cases.py",
    "selftest/mailbox_servers.py",
    "selftest/policy_cases.py",
    "selftest/policy_server.py",
    "selftest/port_cases.py",
    "selftest/record_cases.py",
    "selftest/scripted_lab.py",
    "selftest/servers.py",
    "selftest/session.py",
    "selftest/sieve_server.py",
    "selftest/smtp_server.py",
    "selftest/web_cases.py",
    "selftest/web_server.py",
    "selftest/webmail_cases.py",
    "selftest/webmail_server.py",
    "selftest/zone_cases.py",
    "selftest/zone_servers.py",
    "selftest/zone_texts.py",
}


def modules(names: set[str]) -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] in names)


def constants(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Texts that are shown as they stand: of f-strings what is between the values; not what `_` was given."""
    if isinstance(node, ast.Call) and _name(node) in SILENT_CALLS:
        for each in node.keywords:
            yield from constants(each.value)
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.lineno, node.value
        return
    if isinstance(node, (ast.Compare, ast.Subscript)):  # names and keys; what is compared is shown elsewhere
        return
    for child in ast.iter_child_nodes(node):
        yield from constants(child)


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def unmarked(tree: ast.Module, *, configuration: bool = False) -> Iterator[tuple[int, str]]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):  # docstrings are no texts of the program
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        if isinstance(node, ast.Assert):
            node.msg = None
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        first = SENTENCES.get(_name(node), 99)
        for each in node.args[first:]:
            for line, text in constants(each):
                if re.search(r"[A-Za-z]{3}", text) and not NAMES.fullmatch(text):
                    yield line, text
        for keyword in node.keywords:
            if keyword.arg in HELP:
                yield from constants(keyword.value)
            if _name(node) == "probe" and keyword.arg in PROBE:
                texts = keyword.value.values if isinstance(keyword.value, ast.Dict) else [keyword.value]
                for line, text in (found for each in texts for found in constants(each)):
                    if re.search(r"[A-Za-z]{3}", text) and not NAMES.fullmatch(text):
                        yield line, text
    for line, text in () if configuration else constants(tree):
        if _WORDS.search(text) and not NO_SENTENCES.fullmatch(text.strip()):
            yield line, text


def test_every_package_is_converted() -> None:
    there = {
        path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert there == CONVERTED | NOTHING_TO_SAY


@pytest.mark.parametrize("path", modules(CONVERTED), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_sentence_passes_through_gettext(path: Path) -> None:
    other = str(path.relative_to(PACKAGE)) in OTHER_TEXTS
    assert sorted(set(unmarked(ast.parse(path.read_text()), configuration=other))) == []


def test_no_module_uses_the_name_of_gettext_for_something_else() -> None:
    """`for _ in …` would make `_` another thing in the whole function."""
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        imported = any(
            isinstance(node, ast.ImportFrom)
            and node.module in ("mailprov.i18n", "mailprov.agent.sentences")
            and any(alias.name == "_" for alias in node.names)
            for node in ast.walk(tree)
        )
        stored = [
            node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and node.id == "_" and isinstance(node.ctx, ast.Store)
        ]
        assert not (imported and stored), f"{path}: {stored}"


def test_gettext_is_given_texts_that_can_be_collected() -> None:
    """A variable is translated too, but only where it was marked with N_; an f-string never can be."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _name(node) in ("_", "N_", "NN_", "ngettext"):
                texts = node.args[: 2 if _name(node) in ("NN_", "ngettext") else 1]
                assert not [arg for arg in texts if isinstance(arg, (ast.JoinedStr, ast.BinOp))], (
                    f"{path}:{node.lineno}"
                )


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("messages", ROOT / "scripts/messages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_template_for_translators_is_current() -> None:
    found = script()
    assert found.POT.read_text(encoding="utf-8") == found.template(), "run `make messages`"


def descriptions(schema: dict[str, Any]) -> Iterator[str]:
    """Of all keys, as the JSON schema has them."""
    for part in (schema, *schema["$defs"].values()):
        for key in part.get("properties", {}).values():
            if "description" in key:
                yield key["description"]


def test_what_keys_components_and_records_are_for_can_be_translated() -> None:
    """Tables that are shown elsewhere: `explain`, what a missing key means, what stands in the way of a record."""
    collected = {one for one, many in script().messages()}
    found = {each.about for each in registry.components()}
    found |= {key.about for each in registry.components() for key in each.settings}
    found |= {each.title for each in every()} | {each.dns_01 for each in every()} - {""}
    found |= {each.limits for each in every()} - {""}
    found |= {each.why for each in TYPES} | {each.otherwise for each in TYPES} - {""}
    found |= {each.name for each in TYPES if not each.name.isupper()}
    shared = tuple(f"{key.about}; {key.if_missing}" if key.if_missing else key.about for key in settings())
    for text in descriptions(json_schema()):
        if text not in shared and not text.startswith("as the top-level `") and text not in COMPOSED:
            found.add(text)
    assert found - collected == set()


def test_texts_for_one_and_for_several_have_the_same_placeholders() -> None:
    form = re.compile(r"\{(\w+)[^{}]*\}")
    for one, many in script().messages():
        if many:
            assert set(form.findall(one)) == set(form.findall(many))
