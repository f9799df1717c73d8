"""Consumers of the event stream: nothing here knows hosts, zones or sockets.

text.py       the terminal: plan, progress, result (rich)
plans.py      how a plan looks
findings.py   how verification looks
jsonlines.py  --json: one event per line on stdout
junit.py      --junit FILE
fanout.py     several reports from one stream
"""
