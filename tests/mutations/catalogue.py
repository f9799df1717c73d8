"""What is done to sound hosts, one thing at a time, and which probe of `mailprov verify` must say so.

    MUTATIONS     all of them, in the order in which they are tried
    HELPERS       shell functions that `put` and `back` may use, and what the variables in them are

None of these was a fixture of `mailprov selftest` when it was written down: they are what goes wrong on real hosts, or
what somebody does to them, with the commands that do it. `put` runs on each of `hosts`, as root; afterwards the files
of /etc are put back from a copy, `back` does the rest, and what is in `restart` is started again.
"""

from __future__ import annotations

from dataclasses import dataclass

BOTH = ("mx1", "mx2")
Edit = tuple[str, str, str, str]  # name, type, what in a value is replaced ("": a value more), by what

# D the host's domain, A, B and C accounts there, OD the domain of the other host, OIP its address, OA an account,
# FQDN the host's name, DOVECOT 2.3 or 2.4.
HELPERS = r"""
set -eu
dovecot_says() { printf '%s\n' "$@" >/etc/dovecot/local.conf; }
in_file() { sed -i "$2" "$1"; }
certificate() {  # DIR, then what `openssl req` is told: a self-signed one, and its key, readable by those who serve it
  out=$1; shift; mkdir -p "$out"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$FQDN" \
    -keyout "$out/key.pem" -out "$out/crt.pem" "$@" 2>/dev/null
  chmod 644 "$out/key.pem"
}
serve_mail() { # DIR: Postfix and Dovecot show that certificate
  postconf -e "smtpd_tls_chain_files=$1/key.pem, $1/crt.pem"
  if [ "$DOVECOT" = 2.3 ]; then dovecot_says "ssl_cert=<$1/crt.pem" "ssl_key=<$1/key.pem"
  else dovecot_says "ssl_server_cert_file=$1/crt.pem" "ssl_server_key_file=$1/key.pem"; fi
}
"""


@dataclass(frozen=True)
class Mutation:
    """`seen_by`: probes of which one must fail on each of `hosts` (or warn, where `only` is so)."""

    name: str
    what: str
    seen_by: tuple[str, ...]
    put: str = ""
    restart: tuple[str, ...] = ("postfix",)
    back: str = ""
    hosts: tuple[str, ...] = BOTH
    records: tuple[Edit, ...] = ()
    only: str = "fail"


MUTATIONS = (
    # Postfix: what it takes from others, and what it says.
    Mutation(
        "null-sender-refused",
        "mail without a sender (bounces, receipts) is refused",
        ("smtp.postmaster",),
        'postconf -e "smtpd_sender_restrictions = check_sender_access inline:{{<> = REJECT no bounces}},'
        ' $(postconf -h smtpd_sender_restrictions)"',
    ),
    Mutation(
        "postmaster-refused",
        "mail for <postmaster> without a domain is refused",
        ("smtp.postmaster",),
        "in_file /etc/postfix/mailprov/virtual '/^postmaster /d'",
    ),
    Mutation(
        "soft-bounce",
        "unknown users are put off, and senders try for days (soft_bounce)",
        ("unknown.user", "relay.classic"),
        "postconf -e soft_bounce=yes",
        only="error",
    ),
    Mutation(
        "one-recipient",
        "a message may have one recipient only",
        ("address.bcc", "unknown.user"),
        "postconf -e smtpd_recipient_limit=1",
        only="error",
    ),
    Mutation(
        "one-connection",
        "each client may have one connection only",
        ("tls.starttls", "smtp.ehlo", "relay.classic", "auth.ok"),
        "postconf -e smtpd_client_connection_count_limit=1 smtpd_client_event_limit_exceptions=",
        only="error",
    ),
    Mutation(
        "one-error",
        "after one refused command the connection is closed",
        ("relay.classic",),
        "postconf -e smtpd_hard_error_limit=1 smtpd_junk_command_limit=1",
        only="error",
    ),
    Mutation(
        "no-dsn",
        "delivery reports cannot be asked for",
        ("smtp.ehlo", "dsn.success"),
        'postconf -e "smtpd_discard_ehlo_keywords = dsn, etrn, silent-discard"',
        only="warn",
    ),
    Mutation(
        "reinjection-open",
        "a port for a content filter takes mail from everybody, for everywhere",
        ("net.stray",),
        "postconf -Me '10028/inet=10028 inet n - y - - smtpd -o mynetworks=0.0.0.0/0 -o smtpd_milters='",
    ),
    # Postfix: what becomes of a message.
    Mutation(
        "copy-of-everything",
        "somebody gets a copy of all mail (always_bcc)",
        ("address.alias", "address.detail", "address.bcc", "address.attachment"),
        "postconf -e always_bcc=$B@$D",
    ),
    Mutation(
        "hold-everything",
        "mail is taken and stays in the queue (HOLD)",
        ("delivery.path", "address.alias"),
        'postconf -e "smtpd_end_of_data_restrictions = check_client_access static:HOLD"',
    ),
    Mutation(
        "discarded-from-outside",
        "mail from one domain is taken and thrown away",
        ("delivery.path",),
        'postconf -e "smtpd_sender_restrictions = check_sender_access inline:{{$OD = DISCARD}},'
        ' $(postconf -h smtpd_sender_restrictions)"',
    ),
    Mutation(
        "subject-marked",
        "the subject of each message is changed after it was signed",
        ("delivery.fetch", "delivery.dkim"),
        r"printf '/^Subject:(.*)/ REPLACE Subject: [EXTERN]$1\n' >>/etc/postfix/mailprov/lmtp_headers;"
        " postconf -e 'smtp_header_checks = regexp:/etc/postfix/mailprov/lmtp_headers'",
    ),
    Mutation(
        "attachments-refused",
        "messages with an attachment are refused",
        ("address.attachment", "address.bcc"),
        "printf '/name=/ REJECT no attachments\\n' >/etc/postfix/mailprov/mime;"
        " postconf -e 'mime_header_checks = regexp:/etc/postfix/mailprov/mime'",
    ),
    Mutation(
        "long-lines-broken",
        "lines of more than 512 octets are broken on their way",
        ("delivery.fetch", "delivery.dkim"),
        "postconf -e smtp_line_length_limit=512",
    ),
    Mutation(
        "hop-count",
        "a message that comes from another host is taken for one that goes in circles",
        ("delivery.path", "address.alias"),
        "postconf -e hopcount_limit=1",
    ),
    Mutation(
        "sender-rewritten",
        "mail leaves with another sender (smtp_generic_maps)",
        ("delivery.path", "delivery.results"),
        "postconf -e 'smtp_generic_maps = static:root@$FQDN'".replace("'", '"'),
    ),
    Mutation(
        "greets-as-localhost",
        "it says EHLO localhost.localdomain to other hosts",
        ("delivery.path",),
        "postconf -e smtp_helo_name=localhost.localdomain",
        only="warn",
    ),
    Mutation(
        "lmtp-deferred",
        "nothing is handed to Dovecot (defer_transports)",
        ("delivery.path", "address.alias"),
        "postconf -e defer_transports=lmtp",
    ),
    Mutation(
        "header-from-free",
        "a user may write anybody's address into From (the milter is out)",
        ("spoof.header",),
        "postconf -e 'mua_milters = $filter_milter'",
    ),
    Mutation(
        "login-map-wide",
        "the first account may send as the third",
        ("spoof.envelope",),
        'in_file /etc/postfix/mailprov/logins "s/^$C@$D .*/$C@$D $A@$D/"',
    ),
    # Addresses.
    Mutation(
        "alias-astray",
        "an alias leads to another account",
        ("address.alias",),
        'in_file /etc/postfix/mailprov/virtual "s/^ventas@$D .*/ventas@$D $B@$D/"',
    ),
    Mutation(
        "list-leaks",
        "a list has a member more, in another domain",
        ("address.list",),
        'in_file /etc/postfix/mailprov/virtual "s/^grupo@$D .*/&, $OA@$OD/"',
        hosts=("mx2",),
    ),
    Mutation(
        "forward-leaks",
        "mail that is forwarded goes to one more",
        ("address.forward",),
        'in_file /etc/postfix/mailprov/virtual "s/^luis@$D .*/&, $OA@$OD/"',
        hosts=("mx1",),
    ),
    Mutation(
        "catch-all-astray",
        "mail for names that nobody has goes to another account",
        ("address.catch-all",),
        'in_file /etc/postfix/mailprov/virtual "s/^@$D .*/@$D $B@$D/"',
        hosts=("mx2",),
    ),
    Mutation(
        "domain-alias-astray",
        "names of the domain alias lead to another account",
        ("address.domain-alias",),
        r'in_file /etc/postfix/mailprov/virtual "s/^\([a-z]*\)@alfa.test .*/\1@alfa.test $B@$D/"',
        hosts=("mx1",),
    ),
    Mutation(
        "other-account-refused",
        "the second account gets nothing (it is missing in the table of mailboxes)",
        ("address.list", "address.bcc", "address.forward"),
        'in_file /etc/postfix/mailprov/mailboxes "/^$B@/d"; in_file /etc/postfix/mailprov/virtual "/^$B@/d"',
    ),
    # Mailboxes.
    Mutation(
        "mailbox-of-another",
        "the second account reads the mail of the first",
        ("address.alias", "address.bcc", "address.detail", "address.list", "address.forward"),
        "cd /var/vmail/$D/$B && mv Maildir Maildir.kept && ln -s ../$A/Maildir Maildir",
        restart=("dovecot",),
        back="cd /var/vmail/$D/$B && rm Maildir && mv Maildir.kept Maildir",
    ),
    Mutation(
        "mailbox-not-writable",
        "the first account's mailbox belongs to root",
        ("delivery.path", "address.alias", "auth.ok", "delivery.ready"),
        "chown -R root:root /var/vmail/$D/$A/Maildir && chmod 700 /var/vmail/$D/$A/Maildir",
        restart=("dovecot",),
        back="chown -R vmail:vmail /var/vmail/$D/$A/Maildir",
    ),
    Mutation(
        "store-read-only",
        "the disk with the mail is mounted read-only",
        ("delivery.path", "address.alias", "auth.ok", "delivery.ready"),
        "mount --bind /var/vmail /var/vmail && mount -o remount,bind,ro /var/vmail",
        restart=("dovecot",),
        back="umount /var/vmail",
    ),
    Mutation(
        "pop-elsewhere",
        "POP reads another mailbox than IMAP",
        ("delivery.fetch",),
        "if [ $DOVECOT = 2.3 ]; then dovecot_says 'protocol pop3 {' ' mail_location = maildir:~/pop' '}';"
        " else dovecot_says 'protocol pop3 {' ' mail_path = ~/pop' '}'; fi",
        restart=("dovecot",),
    ),
    Mutation(
        "mailbox-full",
        "the first account has no room",
        ("delivery.ready", "address.alias", "delivery.path"),
        "in_file /etc/dovecot/mailprov-users"
        r' "/^$A@/s/\(bytes\|storage_size\|quota_storage_size\)=[0-9]*[A-Za-z]*/\1=1/"',
        restart=("dovecot",),
    ),
    Mutation(
        "into-archive",
        "a filter of the host puts everything into Archive",
        ("delivery.path", "address.alias"),
        'printf \'require ["fileinto"];\\nfileinto "Archive";\\n\' >/etc/dovecot/mailprov-spam.sieve',
        restart=("dovecot",),
        back="rm -f /var/vmail/*/*/.sieve-compiled/*",
        only="warn",
    ),
    Mutation(
        "filter-copies",
        "a filter of the host sends a copy of everything to another account",
        ("address.alias", "address.detail", "address.bcc"),
        'printf \'require ["copy"];\\nredirect :copy "%s";\\n\' $B@$D >/etc/dovecot/mailprov-spam.sieve',
        restart=("dovecot",),
        back="rm -f /var/vmail/*/*/.sieve-compiled/*",
    ),
    # Logins.
    Mutation(
        "any-password-for-one",
        "the second account is let in with any password",
        ("auth.bad-password",),
        'in_file /etc/dovecot/mailprov-users "s/^\\($B@$D\\):[^:]*:\\(.*\\)$/\\1::\\2 nopassword=y/"',
        restart=("dovecot",),
    ),
    Mutation(
        "anonymous-login",
        "IMAP and POP let anybody in, without a name (SASL ANONYMOUS)",
        ("auth.mechanisms",),
        'echo "anonymous@$D:{PLAIN}x::::::" >>/etc/dovecot/mailprov-users; A=anonymous;'
        " if [ $DOVECOT = 2.3 ]; then dovecot_says 'auth_mechanisms = plain login anonymous'"
        ' "auth_anonymous_username = $A@$D"; else'
        ' dovecot_says "auth_mechanisms {" " anonymous = yes" "}" "auth_anonymous_username = $A@$D"; fi',
        restart=("dovecot",),
    ),
    Mutation(
        "other-password",
        "the second account's password is another",
        ("auth.ok",),
        'in_file /etc/dovecot/mailprov-users "s/^\\($B@$D\\):[^:]*:/\\1:{PLAIN}another:/"',
        restart=("dovecot",),
    ),
    Mutation(
        "one-session",
        "each user may have one IMAP session only",
        ("auth.ok", "delivery.path"),
        "dovecot_says 'mail_max_userip_connections = 1'",
        restart=("dovecot",),
        only="error",
    ),
    # Certificates.
    Mutation(
        "certificate-without-names",
        "the certificate has its name in the subject only (CN)",
        ("tls.name",),
        "certificate /etc/mailprov/other -days 90; serve_mail /etc/mailprov/other",
        restart=("postfix", "dovecot"),
    ),
    Mutation(
        "certificate-of-a-client",
        "the certificate is one for clients (extended key usage)",
        ("tls.chain",),
        "certificate /etc/mailprov/other -days 90 -addext subjectAltName=DNS:$FQDN"
        " -addext extendedKeyUsage=clientAuth; serve_mail /etc/mailprov/other",
        restart=("postfix", "dovecot"),
    ),
    Mutation(
        "web-certificate-homemade",
        "the web server shows a certificate that nobody has issued",
        ("web.autodiscover", "web.mobileconfig", "webmail.page"),
        "certificate /etc/mailprov/other -days 90 -addext"
        " subjectAltName=DNS:$FQDN,DNS:$D,DNS:webmail.$D,DNS:autoconfig.$D,DNS:autodiscover.$D,DNS:ua-auto-config.$D;"
        " in_file /etc/mailprov/web/nginx.conf"
        " 's#ssl_certificate .*;#ssl_certificate /etc/mailprov/other/crt.pem;#;"
        "s#ssl_certificate_key .*;#ssl_certificate_key /etc/mailprov/other/key.pem;#'",
        restart=("nginx",),
        only="warn",
    ),
    # The web.
    Mutation(
        "web-old-tls",
        "the web server speaks TLS 1.0 and 1.1",
        ("web.tls",),
        "in_file /etc/mailprov/web/nginx.conf"
        " 's/ssl_protocols .*;/ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;/;"
        "s/ssl_ciphers .*;/ssl_ciphers ALL:@SECLEVEL=0;/'",
        restart=("nginx",),
    ),
    Mutation(
        "webmail-in-clear",
        "webmail is served without TLS as well",
        ("web.tls",),
        "in_file /etc/mailprov/web/nginx.conf"
        " 's#location / { return 301 .*#location / { default_type text/html; return 200 \"<form>login</form>\"; }#'",
        restart=("nginx",),
    ),
    Mutation(
        "settings-wrong-port",
        "the file for mail programs names a port on which nothing is",
        ("web.autoconfig",),
        "in_file /etc/mailprov/web/sites/$D/config-v1.1.xml 's#<port>993</port>#<port>1993</port>#'",
        restart=("nginx",),
    ),
    # The filter.
    Mutation(
        "filter-hangs",
        "Rspamd takes connections and says nothing",
        ("delivery.dkim", "delivery.results"),
        "systemctl kill -s STOP rspamd",
        restart=(),
        back="systemctl kill -s CONT rspamd",
    ),
    Mutation(
        "spf-unchecked",
        "Rspamd does not look at SPF",
        ("delivery.results",),
        "echo 'enabled = false;' >/etc/rspamd/local.d/spf.conf",
        restart=("rspamd",),
    ),
    Mutation(
        "dmarc-unchecked",
        "Rspamd does not look at DMARC",
        ("delivery.results",),
        "echo 'enabled = false;' >/etc/rspamd/local.d/dmarc.conf",
        restart=("rspamd",),
    ),
    Mutation(
        "forgeries-pass",
        "mail that DMARC forbids comes into the INBOX",
        ("stranger.own-domain", "stranger.results"),
        'printf \'actions {\\n quarantine = "no action";\\n reject = "no action";\\n}\\n\''
        " >/etc/rspamd/local.d/dmarc.conf",
        restart=("rspamd",),
    ),
    Mutation(
        "spam-passes",
        "what is known to be spam (GTUBE) comes into the INBOX",
        ("stranger.spam",),
        "printf 'reject = null;\\nadd_header = null;\\ngreylist = null;\\n' >/etc/rspamd/local.d/actions.conf;"
        " echo 'gtube_patterns = \"disable\";' >>/etc/rspamd/local.d/options.inc",
        restart=("rspamd",),
    ),
    Mutation(
        "alias-domain-unsigned",
        "mail from the domain alias is not signed",
        ("dns.dkim", "delivery.dkim"),
        'in_file /etc/rspamd/local.d/dkim_signing.conf \'s/"alfa.test"/"other.test"/\'',
        restart=("rspamd",),
        hosts=("mx1",),
    ),
    # The system and its network.
    Mutation(
        "resolver-broken",
        "the host's resolver answers nothing",
        ("delivery.path",),
        "rm -f /etc/resolv.conf; echo nameserver 127.0.0.9 >/etc/resolv.conf;"
        " cp /etc/resolv.conf /var/spool/postfix/etc/resolv.conf",
        restart=("postfix", "rspamd"),
    ),
    Mutation(
        "no-way-out",
        "the host cannot reach the other one (a firewall, port 25 blocked)",
        ("delivery.path",),
        "ip route add unreachable $OIP;"
        " ip -6 route add unreachable $(getent ahostsv6 mx2.beta.test | awk '{ print $1; exit }')",
        restart=(),
        back="ip route del unreachable $OIP; ip -6 route flush type unreachable",
        hosts=("mx1",),
    ),
    # DNS.
    Mutation(
        "spf-wide-open",
        "SPF names the whole of IPv4, in two halves",
        ("dns.spf",),
        records=(("alpha.test.", "TXT", '"v=spf1 .*', '"v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all"'),),
        restart=(),
        hosts=("mx1",),
    ),
    Mutation(
        "dkim-only-sha1",
        "the DKIM record allows SHA-1 alone",
        ("dns.dkim", "delivery.dkim"),
        records=(("mx1-rsa-1._domainkey.alpha.test.", "TXT", "v=DKIM1;", 'v=DKIM1; h=sha1;" "'),),
        restart=(),
        hosts=("mx1",),
    ),
    Mutation(
        "dkim-not-for-mail",
        "the DKIM record is not for mail (s=tlsrpt)",
        ("dns.dkim", "delivery.dkim"),
        records=(("mx1-rsa-1._domainkey.alpha.test.", "TXT", "v=DKIM1;", 'v=DKIM1; s=tlsrpt;" "'),),
        restart=(),
        hosts=("mx1",),
    ),
    Mutation(
        "address-of-nobody",
        "the host's name has an IPv6 address that is nobody's",
        ("dns.a",),
        records=(("mx1.alpha.test.", "AAAA", "", "2001:db8::dead"),),
        restart=(),
        hosts=("mx1",),
    ),
    Mutation(
        "second-ptr",
        "the address has a second PTR record, of a name that does not lead back",
        ("dns.ptr",),
        records=(("{ip}", "PTR", "", "dyn-11.isp.example."),),
        restart=(),
        hosts=("mx1",),
        only="warn",
    ),
    Mutation(
        "srv-wrong-port",
        "the SRV record of IMAP names a port on which nothing is",
        ("dns.published",),
        records=(("_imaps._tcp.beta.test.", "SRV", " 993 ", " 1993 "),),
        restart=(),
        hosts=("mx2",),
        only="warn",
    ),
    Mutation(
        "tls-rpt-nowhere",
        "reports of failed TLS go nowhere",
        ("dns.published",),
        records=(("_smtp._tls.alpha.test.", "TXT", ".*", '"v=TLSRPTv1; rua="'),),
        restart=(),
        hosts=("mx1",),
        only="warn",
    ),
)
