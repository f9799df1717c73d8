"""Dovecot: keeps mail, lets users read and filter it, and checks every login."""
