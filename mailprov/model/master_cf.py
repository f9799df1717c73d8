"""The services in Postfix's master.cf that mailprov writes itself, as `name/type` (master(5)).

OWN_SERVICES    those of templates/postfix/master.cf.j2, on every host: a test compares the two

Of two lines for one service Postfix takes the later one without a word, so an inventory may add none of these.
"""

from __future__ import annotations

OWN_SERVICES = frozenset(
    {
        "127.0.0.1:10027/inet",
        "127.0.0.1:10028/inet",
        "anvil/unix",
        "bounce/unix",
        "cleanup/unix",
        "defer/unix",
        "discard/unix",
        "error/unix",
        "flush/unix",
        "incoming-cleanup/unix",
        "lmtp/unix",
        "local/unix",
        "pickup/unix",
        "postlog/unix-dgram",
        "proxymap/unix",
        "proxywrite/unix",
        "qmgr/unix",
        "relay/unix",
        "retry/unix",
        "rewrite/unix",
        "scache/unix",
        "showq/unix",
        "sieve-cleanup/unix",
        "smtp/inet",
        "smtp/unix",
        "srs-cleanup/unix",
        "srs/unix",
        "submission-cleanup/unix",
        "submission/inet",
        "submissions/inet",
        "tlsmgr/unix",
        "trace/unix",
        "verify/unix",
        "virtual/unix",
    }
)
