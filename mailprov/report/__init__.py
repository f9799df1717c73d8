"""Consumers of the event stream: nothing here knows hosts, zones or sockets.

text.py       for people: plan, progress, result
plain_text.py styled lines, printed without rich where there is no terminal
terminal.py   colours and live lines (rich)
plans.py      how a plan looks
findings.py   how verification looks
grouping.py   which findings belong together
jsonlines.py  --json: one event per line on stdout
junit.py      --junit FILE
fanout.py     several reports from one stream
"""
