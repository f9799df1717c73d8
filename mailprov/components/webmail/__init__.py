"""Webmail: Roundcube, for the domains that ask for it.

component   what a host has
place       where that is on the host
checks      its probes
"""
