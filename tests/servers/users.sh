# What every one of these servers begins with: two people with a login on the host, and a certificate that the host made
# for itself. HOST, DOMAIN, and the passwords EVA and IVO are in the environment.
set -e
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
echo "$HOST" > /etc/mailname
hostname "$HOST"
for user in eva ivo; do id $user >/dev/null 2>&1 || useradd -m -s /bin/bash $user; done
echo "eva:$EVA" | chpasswd
echo "ivo:$IVO" | chpasswd
apt-get -qq update
apt-get -qq -y --no-install-recommends install openssl >/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj "/CN=$HOST" -addext "subjectAltName=DNS:$HOST" \
  -keyout /etc/ssl/private/mail.key -out /etc/ssl/certs/mail.pem 2>/dev/null
