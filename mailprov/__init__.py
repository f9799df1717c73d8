"""mailprov: from one inventory file to a mail service that is proven to work."""

__version__ = "0.1.0"
