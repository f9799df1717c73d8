"""From what was observed and logged to the way of a message. Pure, and the same in any order.

observed    what there is to go by: a dialogue, log records, visits to mailboxes, files, answers of DNS
way         way(seen) -> Trace
"""
