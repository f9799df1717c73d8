# Sendmail and Dovecot. Sendmail asks PAM for passwords through saslauthd; procmail puts mail into /var/mail.
apt-get -qq -y --no-install-recommends install sendmail-bin sendmail-cf sasl2-bin libsasl2-modules m4 make procmail \
  dovecot-imapd dovecot-pop3d >/dev/null
for file in server client; do cat /etc/ssl/certs/mail.pem > /etc/mail/tls/sendmail-$file.crt; done
cat /etc/ssl/private/mail.key > /etc/mail/tls/sendmail-common.key

# /etc/mail/sendmail.mc: what Debian has, but for the addresses to listen on, and what is below.
cd /etc/mail
sed -i '/^DAEMON_OPTIONS/d; /^CLIENT_OPTIONS/d; /^MAILER/d; /^MASQUERADE_AS/d; /^FEATURE(`allmasq/d; /^FEATURE(`masq/d' sendmail.mc
cat >> sendmail.mc <<END
define(\`confDOMAIN_NAME', \`$HOST')dnl
include(\`/etc/mail/tls/starttls.m4')dnl
define(\`confREFUSE_LA', \`1000')dnl a test machine is busy
define(\`confQUEUE_LA', \`1000')dnl
define(\`confAUTH_MECHANISMS', \`PLAIN LOGIN')dnl
define(\`confAUTH_OPTIONS', \`A p y')dnl
TRUST_AUTH_MECH(\`PLAIN LOGIN')dnl
FEATURE(\`local_procmail')dnl
DAEMON_OPTIONS(\`Family=inet6, Port=smtp, Name=MTA, M=A')dnl IPv4 as well
DAEMON_OPTIONS(\`Family=inet6, Port=submission, Name=MSA, M=Ea')dnl
DAEMON_OPTIONS(\`Family=inet6, Port=smtps, Name=MSA-TLS, M=sEa')dnl
MAILER_DEFINITIONS
MAILER(\`local')dnl
MAILER(\`smtp')dnl
END
echo "$DOMAIN" >> local-host-names
# Debian lets nobody in more than ten times a minute. Whoever checks the server comes from 10.* and fd*.
sed -i 's/^ClientRate:\t.*/ClientRate:\t\t\t\t1000/; s/^ClientConn:\t.*/ClientConn:\t\t\t\t100/' access

echo 'pwcheck_method: saslauthd' > sasl/Sendmail.conf.2
echo 'mech_list: PLAIN LOGIN' >> sasl/Sendmail.conf.2
echo 'START=yes' >> /etc/default/saslauthd
adduser --quiet smmta sasl
systemctl restart saslauthd
make >/dev/null 2>&1 || true
m4 sendmail.mc > sendmail.cf
systemctl restart sendmail

cat > /etc/dovecot/conf.d/99-by-hand.conf <<END
mbox_write_locks = fcntl
END
if dovecot --version | grep -q '^2\.3'; then
  cat >> /etc/dovecot/conf.d/99-by-hand.conf <<END
ssl_cert = </etc/ssl/certs/mail.pem
ssl_key = </etc/ssl/private/mail.key
END
else
  cat >> /etc/dovecot/conf.d/99-by-hand.conf <<END
ssl_server_cert_file = /etc/ssl/certs/mail.pem
ssl_server_key_file = /etc/ssl/private/mail.key
END
fi
systemctl restart dovecot
