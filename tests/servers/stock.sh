# Debian's Postfix and Dovecot as they come, with the snakeoil certificate. The name of the host and the domain are all
# that is set, so that it takes mail. Nobody can send by it: there is no port for that.
apt-get -qq -y --no-install-recommends install ssl-cert >/dev/null
make-ssl-cert generate-default-snakeoil --force-overwrite
apt-get -qq -y --no-install-recommends install postfix dovecot-imapd dovecot-pop3d >/dev/null
postconf -e "myhostname=$HOST" "mydestination=$DOMAIN, $HOST, localhost"
systemctl restart postfix dovecot
