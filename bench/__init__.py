"""Measurements beside the peers: see run.py."""
