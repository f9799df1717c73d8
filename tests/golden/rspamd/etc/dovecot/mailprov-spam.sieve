# Managed by mailprov: do not edit, the inventory is where this file comes from.
# Runs before the user's own filters (RFC 5228): what Rspamd has marked goes to Junk, and nothing else happens to it, so
# that no vacation notice answers spam.
require ["fileinto"];
if header :is "X-Spam" "Yes" {
  fileinto "Junk";
  stop;
}
