"""Accounts with a shell, and the text programs that read mail there."""
