"""What an advice says as exact changes, to be copied: commands, lines of configuration, records, keys of the inventory.

    with_remedies(finding, inventory)   the finding, with `Finding.remedies`; of a host that mailprov built, with the
                                        command that writes its settings anew
    exact(advice)                       what is in the advice, in its order

They are read out of the advice: what is to be copied is the same in every language, and stands there once. What is for
somebody else (`Finding.tasks`) is a remedy of the kind task. Pure.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import replace

from mailprov.i18n import _
from mailprov.model.findings import Finding, Remedy, Verdict
from mailprov.model.inventory import Inventory

_NAME = r"(?:[A-Za-z0-9_*-]+\.)+"  # with the dot at its end: absolute, as in a zone
_VALUE = (
    r'(?:TXT "[^"]*"(?: "[^"]*")*|A [0-9.]+|AAAA [0-9a-f:]+|MX \d+ [\w.-]+|CNAME [\w.-]+'
    r'|DS \d+ \d+ \d+ [0-9A-Fa-f]+|TLSA \d \d \d [0-9a-f]+|CAA \d+ \w+ "[^"]*"|SRV \d+ \d+ \d+ [\w.-]+)'
)
_SETTINGS = (
    "ssl_min_protocol|ssl_cipher_list|ssl|auth_allow_cleartext|disable_plaintext_auth|mail_location|mail_path"
    "|mail_driver|protocols"
)
_COMMANDS = (
    r"mailprov (?:dns apply|dns export --dkim|apply|dkim rotate)(?: --host [\w.-]+)?",
    r"systemctl (?:status|restart) [\w@-]+(?:\.service)?",
    r"journalctl(?: -[tu] [\w.-]+)+",
    r"ss -ltnp '[^']+'",
    r"doveadm auth test [^\s;,)]+",
    r"doveconf (?:-n )?\w+",
    r"sendmail -bv [^\s;,)]+",
    r"postqueue -p",
    r"postconf -[Mn]\b",
    r"delv [^\s;,)]+ [A-Z]+",
    r"curl -i https?://[^\s;,)]+",
    r"timedatectl",
    r"certbot [a-z-]+(?: --dry-run)?(?: -d [\w.-]+)?",
    r"fail2ban-client [^;,)]+",
)
_KEYS = r"(?:hosts|domains)\.[\w.-]*\.[a-z_]+|\btls\.ca_file|--(?:address|ca-file|partner|selector)\b"
_PATTERNS = (
    ("postfix", r"postconf -[eP](?: '[^']*')+"),
    ("dovecot", rf"(?<![\w'/-])(?:{_SETTINGS}) = [^\s;,()]+"),
    ("record", rf"(?<![\w.*-]){_NAME} {_VALUE}"),
    ("command", "|".join(_COMMANDS)),
    ("file", r"(?<=`)(?:version|mode|mx|max_age): [^`]+(?=`)"),
    ("inventory", rf"(?<=`)[a-z_]+: [^`]+(?=`)|{_KEYS}"),
)
_ANY = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS))
_SPEAKS = ("greeting", "banner", "capability", "capa", "ehlo")
_OF_MAILBOXES = (143, 993, 110, 995, 4190)
_WRITTEN_BY_US = ("postfix", "dovecot")


def exact(advice: str) -> tuple[Remedy, ...]:
    found = (Remedy(str(match.lastgroup), match[0].rstrip(".") if match.lastgroup != "record" else match[0])
             for match in _ANY.finditer(advice))  # fmt: skip
    return tuple(dict.fromkeys(found))


def with_remedies(finding: Finding, inventory: Inventory) -> Finding:
    if finding.verdict in (Verdict.PASS, Verdict.SKIP):
        return finding
    where = finding.target.host or finding.target.domain
    found = exact(finding.advice)
    advice = finding.advice
    if not found and not finding.tasks and finding.verdict is not Verdict.ERROR:
        command = _to_see(finding, finding.target.host in _built(inventory))
        if command:
            form = _("{advice}: {command}") if "mailprov" in command else _("{advice} (on {host}: {command})")
            advice = form.format(advice=advice, host=finding.target.host, command=command)
            found = exact(command)
    if any(each.kind in _WRITTEN_BY_US for each in found) and finding.target.host in _built(inventory):
        command = f"mailprov apply --host {finding.target.host}"
        if "mailprov apply" not in advice:
            advice = _("{advice}; or run {command}, which writes the host's settings anew").format(
                advice=advice, command=command
            )
            found = (Remedy("command", command), *found)
    told = (*found, *(Remedy("task", task) for task in finding.tasks if not exact(task)))
    placed = tuple(
        each if each.kind in ("record", "task") or each.text.startswith("mailprov") else replace(each, where=where)
        for each in told
    )  # fmt: skip
    return replace(finding, advice=advice, remedies=placed)


def _to_see(finding: Finding, built: bool) -> str:
    """Where the advice has no exact change, what shows what is wrong: of a host, what listens there, or what its log
    says; of a host that mailprov built, what mends its certificates.
    """
    host, port = finding.target.host, finding.target.port
    if not host:
        return ""
    if finding.id in ("tls.expiry", "tls.name", "tls.sni"):
        return f"mailprov apply --host {host}" if built else shlex.join(("certbot", "renew", "--dry-run"))
    if port and finding.id.partition(".")[2] in _SPEAKS:
        return f"ss -ltnp 'sport = :{port}'"
    return "journalctl -u dovecot" if port in _OF_MAILBOXES else "journalctl -u postfix"


def _built(inventory: Inventory) -> Iterable[str]:
    return {host.name for host in inventory.hosts if host.managed}
