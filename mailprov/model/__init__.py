"""The words all packages share: plain frozen values without behaviour that touches the world.

    inventory   what the user asked for, resolved and checked (hosts, domains, accounts, …)
    events      what happens in a run; the only thing `report/` sees
    findings    the five verdicts and the finding a probe returns
    ports       the one table of the seven mail ports
    records     a DNS record
    hostnames   which name lies in which, which certificate is for which host

Every package may import from here; nothing here imports from another package.
"""
