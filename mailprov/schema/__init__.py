"""What keys of the inventory file are made of: below every component, and below `inventory`, which puts them together.

entry          the mapping that all have in common
scalars        kinds of values: text, numbers, sizes, choices
secret_entry   where a secret stands; `secrets` reads them, `command` runs what prints one
names          the spelling of domains, addresses, hosts
document       the file as data that knows where everything stands
context        what the checks of one file share; `hints` is its "did you mean"
"""
