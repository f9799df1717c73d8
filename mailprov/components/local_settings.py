"""Local settings at the end of the daemons' files, and the settings that are not to be replaced unnoticed.

    main_cf(text, local), master_cf(text, local), dovecot_conf(text, local) -> str
    POSTFIX_FILE, DOVECOT_FILE      what somebody may write on the host itself; mailprov never does
    POSTFIX_GUARDED, DOVECOT_GUARDED    what security depends on: the agent gives a notice when these are replaced

Of two settings of one name Dovecot takes the later one; in main.cf the agent makes a comment of the earlier one, since
it also merges the host's own file. Pure.
"""

from __future__ import annotations

from mailprov.model.inventory import LocalSettings

POSTFIX_FILE = "/etc/postfix/local.cf"
DOVECOT_FILE = "/etc/dovecot/local.conf"
POSTFIX_GUARDED = (
    "disable_vrfy_command",
    "header_checks",
    "message_strip_characters",
    "mua_client_restrictions",
    "mua_milters",
    "mua_relay_restrictions",
    "mua_sender_restrictions",
    "mynetworks",
    "smtp_tls_security_level",
    "smtpd_data_restrictions",
    "smtpd_forbid_bare_newline",
    "smtpd_forbid_unauth_pipelining",
    "smtpd_recipient_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_sasl_auth_enable",
    "smtpd_sasl_security_options",
    "smtpd_sender_restrictions",
    "smtpd_sender_login_maps",
    "smtpd_tls_auth_only",
    "smtpd_tls_exclude_ciphers",
    "smtpd_tls_mandatory_ciphers",
    "smtpd_tls_mandatory_exclude_ciphers",
    "smtpd_tls_mandatory_protocols",
    "smtpd_tls_protocols",
    "smtpd_tls_security_level",
)
DOVECOT_GUARDED = (
    "auth_allow_cleartext",
    "auth_failure_delay",
    "auth_username_chars",
    "auth_verbose",
    "auth_verbose_passwords",
    "disable_plaintext_auth",
    "sendmail_path",
    "ssl",
    "ssl_min_protocol",
)
_INVENTORY = "Local settings, from the inventory"


def main_cf(text: str, local: LocalSettings) -> str:
    """The group behind mailprov's own settings."""
    lines = [f"{name} = {value}".rstrip() for name, value in local.main_cf]
    return _with(text, f"{_INVENTORY} (postfix.main_cf).", lines)


def master_cf(text: str, local: LocalSettings) -> str:
    """Further services behind mailprov's own."""
    lines = []
    for name, rest in local.master_cf:
        service, _, kind = name.rpartition("/")
        lines.append(f"{service.ljust(10)} {kind.ljust(4)} {rest}")
    return _with(text, f"{_INVENTORY} (postfix.master_cf).", lines)


def dovecot_conf(local: LocalSettings) -> str:
    """The group that stands before the host's own file is included."""
    return _with("", f"{_INVENTORY} (dovecot.settings).", list(local.dovecot)).lstrip("\n")


def _with(text: str, heading: str, lines: list[str]) -> str:
    if not lines:
        return text
    return "\n".join([text.rstrip("\n"), "", f"# {heading}", *lines]) + "\n"
