"""What to do on servers of others whose SMTP server is not Postfix: the same remedy, in its own words. Pure.

    named(greeting, offered)            "exim", "sendmail", "courier", "exchange", or "" for Postfix and whatever else
    learn(known, host, greeting, …)     what a server of others is, into host name → software
    noted(client, host, known)          the same, by a session of SMTP
    NAMES, SMTP, MAILBOX                their names; software → probe → advice, about either kind of server
    suited(software, finding, mailbox)  the advice of a finding for that software; `mailbox`: it is about IMAP or POP

Advice for Postfix is what every probe has; where a table here has nothing better it stays, named as what it is.
Sources: Exim's specification (chapters 14, 33, 44), Sendmail's cf/README, courier(8), esmtpd(8), pop3d(8).
"""

from __future__ import annotations

from collections.abc import Collection

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.model.inventory import Host
from mailprov.probe.clients.client import Client
from mailprov.probe.clients.smtp import Smtp

NAMES = {"exim": "Exim", "sendmail": "Sendmail", "courier": "Courier", "exchange": "Exchange"}


def named(greeting: str, offered: Collection[str]) -> str:
    """By what it says of itself; Courier does so in EHLO alone (XVERP=Courier)."""
    words = greeting.upper()
    if " EXIM " in f"{words} ":
        return "exim"
    if "SENDMAIL" in words:
        return "sendmail"
    if "MICROSOFT ESMTP" in words:
        return "exchange"
    if "XVERP=COURIER" in offered:
        return "courier"
    return ""


def learn(known: dict[str, str], host: Host, greeting: str, offered: Collection[str] = ()) -> None:
    """Into `known`, host name → software, of a server of others."""
    if not host.managed and (software := named(greeting, offered)):
        known[host.name] = software


def noted(client: Client, host: Host, known: dict[str, str]) -> Client:
    """The client, by whose session the server's software is learned."""
    if isinstance(client, Smtp):
        learn(known, host, client.greeting, client.extensions)
    return client


_NOBODY = N_("nothing that its users could change: the service is Microsoft's")
SMTP: dict[str, dict[str, str]] = {
    "exim": {
        "net.tcp": N_(
            "see that exim4 runs (systemctl status exim4), its daemon_smtp_ports and local_interfaces"
        ),
        "smtp.banner": N_(
            "set smtp_banner = $smtp_active_hostname ESMTP, and primary_hostname to the host's name"
        ),
        "smtp.vrfy": N_("leave acl_smtp_vrfy and acl_smtp_expn empty, or let both deny"),
        "smuggle.pipelining": N_(
            "Exim has no setting against it at DATA; smtp_enforce_sync = true is for what comes before"
        ),
        "smuggle.in": N_("update Exim (4.97.1, or Debian's 4.96-15+deb12u4)"),
        "spoof.envelope": N_(
            "in the ACL of RCPT, before `accept authenticated = *`: deny authenticated = * and !condition = ${if "
            "eqi{$sender_address}{$authenticated_id@DOMAIN}}"
        ),
        "relay.classic": N_(
            "relay_from_hosts and relay_to_domains (Debian: dc_relay_nets, dc_relay_domains) must name no strangers"
        ),
        "unknown.user": N_("let the ACL of RCPT `require verify = recipient` for local domains"),
        "auth.ok": N_("see its mainlog, and test its authenticator: swaks --auth PLAIN"),
        "auth.not-on-25": N_(
            "add to each authenticator's server_advertise_condition that $received_port is not 25"
        ),
        "auth.bad-password": N_("see server_condition of its authenticators"),
        "tls.enforced": N_("add {def:tls_in_cipher} to each authenticator's server_advertise_condition"),
        "tls.versions": N_("with GnuTLS: tls_require_ciphers = NORMAL:-VERS-TLS1.0:-VERS-TLS1.1"),
        "tls.ciphers": N_("with GnuTLS: tls_require_ciphers = SECURE128:-VERS-TLS1.0:-VERS-TLS1.1"),
        "tls.implicit": N_("set tls_on_connect_ports = 465"),
        "delivery.dkim": N_(
            "set dkim_domain, dkim_selector and dkim_private_key in the transport remote_smtp, and publish the key"
        ),
        "delivery.forged": N_("in the ACL of RCPT: warn remove_header = Authentication-Results"),
        "delivery.path": N_("see its mainlog and its queue (exim -bp), and what exim -bt ADDRESS says"),
        "address.bcc": N_("in the ACL of DATA: warn remove_header = Bcc"),
    },
    "sendmail": {
        "net.tcp": N_("see that it runs (systemctl status sendmail), and DAEMON_OPTIONS in sendmail.mc"),
        "smtp.banner": N_("in sendmail.mc: define(`confSMTP_LOGIN_MSG', `$j ESMTP')dnl"),
        "smtp.vrfy": N_("in sendmail.mc: add novrfy,noexpn to confPRIVACY_FLAGS"),
        "smuggle.in": N_("update Sendmail (8.18, or Debian's 8.17.1.9-2+deb12u1)"),
        "spoof.envelope": N_(
            "Sendmail compares nothing by itself: a rule in LOCAL_RULESETS, Slocal_check_mail, that compares "
            "$&{auth_authen} with the sender, or a milter that does"
        ),
        "relay.classic": N_(
            "take RELAY for strangers out of /etc/mail/access and relay-domains, and FEATURE(`promiscuous_relay') "
            "out of sendmail.mc; then make -C /etc/mail and restart it"
        ),
        "auth.ok": N_(
            "see its log, that saslauthd runs, and what testsaslauthd -s smtp -u USER -p PASSWORD says"
        ),
        "auth.not-on-25": N_("in sendmail.mc: M=A in DAEMON_OPTIONS of Port=smtp"),
        "tls.enforced": N_("in sendmail.mc: define(`confAUTH_OPTIONS', `A p y')dnl"),
        "tls.versions": N_(
            "in sendmail.mc: define(`confSERVER_SSL_OPTIONS', `+SSL_OP_NO_SSLv3 +SSL_OP_NO_TLSv1 "
            "+SSL_OP_NO_TLSv1_1')dnl"
        ),
        "tls.ciphers": N_("in sendmail.mc: define(`confCIPHER_LIST', `HIGH:!aNULL:!eNULL:!3DES:!RC4')dnl"),
        "tls.implicit": N_("in sendmail.mc: M=s in DAEMON_OPTIONS of Port=smtps"),
        "delivery.dkim": N_("add OpenDKIM as INPUT_MAIL_FILTER in sendmail.mc, and publish its key"),
        "delivery.forged": N_("let a milter remove such fields (OpenDMARC, OpenDKIM): Sendmail does not"),
        "delivery.path": N_("see its log and its queue (mailq), and what sendmail -bv ADDRESS says"),
        "address.bcc": N_("keep H?B?Bcc: out of sendmail.cf, so that the field is not passed on"),
    },
    "courier": {
        "net.tcp": N_("see that its service runs (courier, courier-msa, courier-mta-ssl)"),
        "spoof.envelope": N_("Courier compares nothing by itself: a courierfilter that does"),
        "relay.classic": N_(
            "take RELAYCLIENT for strangers out of /etc/courier/smtpaccess, and foreign domains out of "
            "esmtpacceptmailfor; then makesmtpaccess and makeacceptmailfor"
        ),
        "auth.ok": N_("see its log, and what authtest USER PASSWORD says"),
        "auth.not-on-25": N_(
            "empty ESMTPAUTH and ESMTPAUTH_TLS in esmtpd; set them in esmtpd-msa and esmtpd-ssl alone"
        ),
        "tls.enforced": N_("empty ESMTPAUTH, and set ESMTPAUTH_TLS alone, in esmtpd"),
        "smtp.ehlo": N_("empty ESMTPAUTH, and set ESMTPAUTH_TLS alone, in esmtpd"),
        "tls.versions": N_("in esmtpd and esmtpd-ssl: TLS_PRIORITY=NORMAL:-VERS-TLS1.0:-VERS-TLS1.1"),
        "tls.ciphers": N_("in esmtpd and esmtpd-ssl: TLS_PRIORITY=SECURE128:-VERS-TLS1.0:-VERS-TLS1.1"),
        "delivery.dkim": N_("sign by a courierfilter (zdkimfilter), and publish its key"),
        "delivery.forged": N_("remove such fields by a courierfilter (zdkimfilter does)"),
        "delivery.path": N_("see its log and its queue (mailq), and maildrop's rules"),
        "address.bcc": N_("remove the field by a courierfilter, or let mail programs do so"),
    },
}
MAILBOX: dict[str, dict[str, str]] = {
    "courier": {
        "net.tcp": N_(
            "see that its service runs (courier-imap, courier-imap-ssl, courier-pop, courier-pop-ssl)"
        ),
        "pop.capa": N_("set POP3_TLS_REQUIRED=1 in pop3d-ssl"),
        "imap.capability": N_("set IMAP_TLS_REQUIRED=1 in imapd-ssl"),
        "tls.enforced": N_("set IMAP_TLS_REQUIRED=1 in imapd-ssl and POP3_TLS_REQUIRED=1 in pop3d-ssl"),
        "tls.versions": N_("in imapd-ssl and pop3d-ssl: TLS_PRIORITY=NORMAL:-VERS-TLS1.0:-VERS-TLS1.1"),
        "tls.ciphers": N_("in imapd-ssl and pop3d-ssl: TLS_PRIORITY=SECURE128:-VERS-TLS1.0:-VERS-TLS1.1"),
        "auth.ok": N_("see its log, and what authtest USER PASSWORD says"),
    },
}
_ABOUT_POSTFIX = ("postconf", "Postfix", "postfix", "main.cf", "master.cf")
_ABOUT_DOVECOT = ("dovecot", "Dovecot", "doveadm", "doveconf", "disable_plaintext_auth", "ssl_min_protocol")


# Where mail for an address leads: advice that names this command is about that, whichever probe has it.
_LEADS = "sendmail -bv"
LOST = {
    "exim": N_("see what exim -bt ADDRESS says, its mainlog, and that IMAP reads where Exim delivers"),
    "sendmail": N_("see what sendmail -bv ADDRESS says, its log, and that IMAP reads where the MDA delivers"),
    "courier": N_("see its log, and that IMAP reads where maildrop delivers"),
}


def suited(software: str, finding: Finding, *, mailbox: bool = False) -> str:
    if not finding.advice or (
        mailbox and software in ("exim", "sendmail")
    ):  # what they have beside them is not told
        return finding.advice
    strange = any(word in finding.advice for word in (*_ABOUT_POSTFIX, *_ABOUT_DOVECOT))
    found = (MAILBOX if mailbox else SMTP).get(software, {}).get(finding.id)
    if _LEADS in finding.advice:
        found = LOST.get(software)
    if found:
        return _(found)
    if software == "exchange" and strange:
        return _(_NOBODY)
    if software in NAMES and strange:
        return _("this is {software}; with Postfix and Dovecot one would do this: {advice}").format(
            software=NAMES[software], advice=finding.advice
        )
    return finding.advice
