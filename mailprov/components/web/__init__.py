"""The host's web corner: nginx serves the files by which mail programs set themselves up, and answers authorities.

component    the key `web`, nginx itself
sites        which names and files are served
place        where the files lie on the host, and whether a host has it
"""
