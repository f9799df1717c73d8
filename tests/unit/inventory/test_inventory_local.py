"""Local settings in the inventory: what a host's own add to those of all hosts."""

from __future__ import annotations

from pathlib import Path

from mailprov.components.dovecot import settings as dovecot
from mailprov.components.postfix import settings as postfix
from mailprov.inventory import SecretMode, load

TEXT = """\
postfix:
  main_cf: {message_size_limit: 1, relayhost: "", biff: no}
  master_cf: {a/unix: "- n n - 0 spawn"}
dovecot: {settings: {login_greeting: hola, protocol imap: {imap_max_line_length: 1 M}}}
hosts:
  mx1:
    address: 192.0.2.1
    fqdn: mx1.alpha.test
    postfix: {main_cf: {message_size_limit: 2}, master_cf: {b/inet: "n - n - - smtpd"}}
    dovecot:
      settings: |
        # why
        protocol pop3 {
          pop3_lock_session = yes
        }

  mx2: {address: 192.0.2.2, fqdn: mx2.alpha.test}
domains: {alpha.test: {hosts: [mx1, mx2]}}
"""


def test_a_host_wins_key_by_key_and_adds_its_lines_behind(tmp_path: Path) -> None:
    (tmp_path / "mail.yml").write_text(TEXT)
    mx1, mx2 = load(tmp_path / "mail.yml", SecretMode.IGNORE).hosts

    lines = ("login_greeting = hola", "protocol imap {", "  imap_max_line_length = 1 M", "}")
    assert postfix.SETTING.of(mx2) == postfix.Settings(
        main_cf=(("message_size_limit", "1"), ("relayhost", ""), ("biff", "no")),
        master_cf=(("a/unix", "- n n - 0 spawn"),),
    )
    assert dovecot.SETTING.of(mx2) == lines
    assert postfix.SETTING.of(mx1) == postfix.Settings(
        main_cf=(("message_size_limit", "2"), ("relayhost", ""), ("biff", "no")),
        master_cf=(("a/unix", "- n n - 0 spawn"), ("b/inet", "n - n - - smtpd")),
    )
    pop3 = ("protocol pop3 {", "  pop3_lock_session = yes", "}")
    assert dovecot.SETTING.of(mx1) == (*lines, "# why", *pop3)
