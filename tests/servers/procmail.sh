# Postfix with procmail and mbox: system users whose passwords PAM knows, and Dovecot to read /var/mail.
apt-get -qq -y --no-install-recommends install postfix procmail dovecot-imapd dovecot-pop3d >/dev/null
postconf -e "myhostname=$HOST" "mydestination=$DOMAIN, $HOST, localhost" inet_interfaces=all \
  'mailbox_command=procmail -a "$EXTENSION"' \
  smtpd_tls_cert_file=/etc/ssl/certs/mail.pem smtpd_tls_key_file=/etc/ssl/private/mail.key \
  smtpd_tls_security_level=may smtp_tls_security_level=may smtpd_tls_auth_only=yes \
  smtpd_sasl_type=dovecot smtpd_sasl_path=private/auth
for service in submission submissions; do
  postconf -M "$service/inet=$service inet n - y - - smtpd"
  postconf -P "$service/inet/smtpd_sasl_auth_enable=yes" \
    "$service/inet/smtpd_client_restrictions=permit_sasl_authenticated,reject"
done
postconf -P submission/inet/smtpd_tls_security_level=encrypt submissions/inet/smtpd_tls_wrappermode=yes

cat > /etc/procmailrc <<'END'
DROPPRIVS=yes
DEFAULT=/var/mail/$LOGNAME
# What the subject calls spam goes into a folder of its own.
:0:
* ^Subject:.*\*\*\*SPAM\*\*\*
$HOME/mail/Junk
END
for user in eva ivo; do su $user -c 'mkdir -p ~/mail'; done
# Nobody but root may remove a lock file from /var/mail: Dovecot and procmail both know fcntl.
cat > /etc/dovecot/conf.d/99-by-hand.conf <<'END'
mbox_write_locks = fcntl
auth_mechanisms = plain login
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
END
if dovecot --version | grep -q '^2\.3'; then
  cat >> /etc/dovecot/conf.d/99-by-hand.conf <<'END'
ssl_cert = </etc/ssl/certs/mail.pem
ssl_key = </etc/ssl/private/mail.key
END
else
  cat >> /etc/dovecot/conf.d/99-by-hand.conf <<'END'
ssl_server_cert_file = /etc/ssl/certs/mail.pem
ssl_server_key_file = /etc/ssl/private/mail.key
END
fi
systemctl restart postfix dovecot
