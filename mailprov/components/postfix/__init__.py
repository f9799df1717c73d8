"""Postfix: takes mail, sends it, and hands what is for accounts to Dovecot."""
