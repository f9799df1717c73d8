# Courier, whole: its own MTA, IMAP and POP servers, authdaemon with PAM, and maildrop, which delivers into ~/Maildir.
apt-get -qq -y --no-install-recommends install courier-mta courier-imap courier-pop courier-authdaemon maildrop >/dev/null
cat /etc/ssl/private/mail.key /etc/ssl/certs/mail.pem > /etc/courier/mail.pem
chown courier:courier /etc/courier/mail.pem
chmod 600 /etc/courier/mail.pem

cd /etc/courier
echo "$HOST" > me
echo "$DOMAIN" > defaultdomain
printf '%s\n' localhost "$HOST" "$DOMAIN" > locals
mkdir -p esmtpacceptmailfor.dir
printf '%s\n' "$DOMAIN" "$HOST" > esmtpacceptmailfor
makeacceptmailfor
echo 'DEFAULT="$HOME/Maildir"' > /etc/maildroprc
for user in eva ivo; do su $user -c 'maildirmake ~/Maildir'; done

sed -i 's|^DEFAULTDELIVERY=.*|DEFAULTDELIVERY="\| /usr/bin/maildrop"|' courierd
for file in esmtpd esmtpd-ssl imapd-ssl pop3d-ssl; do
  sed -i 's|^TLS_CERTFILE=.*|TLS_CERTFILE=/etc/courier/mail.pem|' $file
done
# Logins for those who send: under TLS alone.
sed -i 's|^ESMTPAUTH=.*|ESMTPAUTH=""|; s|^ESMTPAUTH_TLS=.*|ESMTPAUTH_TLS="PLAIN LOGIN"|' esmtpd
sed -i 's|^AUTH_REQUIRED=.*|AUTH_REQUIRED=1|; s|^ESMTPDSTART=.*|ESMTPDSTART=YES|' esmtpd-msa
sed -i 's|^ESMTPDSSLSTART=.*|ESMTPDSSLSTART=YES|' esmtpd-ssl
# Courier, as packaged, takes five connections from one address and makes whoever is refused wait 8, 16, 32 s: whoever
# checks it knocks often, and is refused often.
for file in esmtpd esmtpd-msa esmtpd-ssl pop3d; do
  sed -i 's|^TARPIT=.*|TARPIT=0|; s|^MAXPERIP=.*|MAXPERIP=40|; s|^MAXPERC=.*|MAXPERC=40|' $file
done
# No password in clear.
sed -i 's|^IMAP_TLS_REQUIRED=.*|IMAP_TLS_REQUIRED=1|' imapd-ssl
sed -i 's|^POP3_TLS_REQUIRED=.*|POP3_TLS_REQUIRED=1|' pop3d-ssl
for service in courier-authdaemon courier courier-msa courier-mta-ssl courier-imap courier-imap-ssl courier-pop \
  courier-pop-ssl; do
  systemctl enable $service >/dev/null 2>&1 || true
  systemctl restart $service || true
done
