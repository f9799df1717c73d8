# Exim and Dovecot. Exim with Debian's one configuration file, which asks Dovecot for passwords; Maildir in the home.
apt-get -qq -y --no-install-recommends install exim4-daemon-heavy dovecot-imapd dovecot-pop3d >/dev/null
chgrp Debian-exim /etc/ssl/private /etc/ssl/private/mail.key
chmod 750 /etc/ssl/private; chmod 640 /etc/ssl/private/mail.key

cat > /etc/exim4/update-exim4.conf.conf <<END
dc_eximconfig_configtype='internet'
dc_other_hostnames='$DOMAIN;$HOST'
dc_local_interfaces=''
dc_readhost=''
dc_relay_domains=''
dc_minimaldns='false'
dc_relay_nets=''
dc_smarthost=''
CFILEMODE='644'
dc_use_split_config='false'
dc_hide_mailname=''
dc_mailname_in_oh='true'
dc_localdelivery='maildir_home'
END
cat > /etc/exim4/exim4.conf.localmacros <<END
# Debian's Exim sends nothing to private addresses, which all hosts of a class have.
ROUTER_DNSLOOKUP_IGNORE_TARGET_HOSTS = 127.0.0.0/8
MAIN_HARDCODE_PRIMARY_HOSTNAME = $HOST
MAIN_TLS_ENABLE = yes
MAIN_TLS_CERTIFICATE = /etc/ssl/certs/mail.pem
MAIN_TLS_PRIVATEKEY = /etc/ssl/private/mail.key
MAIN_TLS_VERIFY_HOSTS =
MAIN_TLS_TRY_VERIFY_HOSTS =
END
# Ports for users: TLS from the first octet on 465, and a login, under TLS, asked of Dovecot.
cat > /tmp/authenticators <<'END'

dovecot_plain:
  driver = dovecot
  public_name = PLAIN
  server_socket = /run/dovecot/auth-exim
  server_set_id = $auth1
  server_advertise_condition = ${if and{{def:tls_in_cipher}{!eq{$received_port}{25}}}}

dovecot_login:
  driver = dovecot
  public_name = LOGIN
  server_socket = /run/dovecot/auth-exim
  server_set_id = $auth1
  server_advertise_condition = ${if and{{def:tls_in_cipher}{!eq{$received_port}{25}}}}
END
sed -i '/^begin authenticators/r /tmp/authenticators' /etc/exim4/exim4.conf.template
sed -i '1i daemon_smtp_ports = 25 : 465 : 587\ntls_on_connect_ports = 465' /etc/exim4/exim4.conf.template

cat > /etc/dovecot/conf.d/99-by-hand.conf <<END
auth_mechanisms = plain login
service auth {
  unix_listener auth-exim {
    mode = 0660
    user = Debian-exim
  }
}
END
if dovecot --version | grep -q '^2\.3'; then
  cat >> /etc/dovecot/conf.d/99-by-hand.conf <<END
mail_location = maildir:~/Maildir
ssl_cert = </etc/ssl/certs/mail.pem
ssl_key = </etc/ssl/private/mail.key
END
else
  cat >> /etc/dovecot/conf.d/99-by-hand.conf <<END
mail_driver = maildir
mail_path = ~/Maildir
mail_inbox_path = ~/Maildir
ssl_server_cert_file = /etc/ssl/certs/mail.pem
ssl_server_key_file = /etc/ssl/private/mail.key
END
fi
update-exim4.conf
systemctl restart dovecot exim4
