"""Certificates: given as files, made on the host, or issued by an authority."""
