"""What a message and its headers prove: the probe messages, the Received chain, SPF and DKIM. Pure.

message     probe messages, and what became of them on the way
received    the Received chain: who took a message from whom, and how
spf         SPF evaluation on DNS answers
dkim        DKIM signatures against published keys
"""
