"""The reference pages and the manual page, written from the program when they are built: none can be stale.

    commands.all_commands()    what the command line has: for `commands.page()` and `man.page()`
    inventory.page()           every key of the inventory, from the schema
    components.page()          every component, from their registry
    probes.page()              every probe, from the probe table
    kill_matrix.page()         what each probe is tried against, from selftest's table
    records.page()             every type of record
    man.page()                 mailprov(1) in roff; hatch_build.py puts it into the wheel
    hooks                      what MkDocs calls: the pages above become files of the site

Pages are Markdown. `commands` and `man` need no library but typer: a wheel is built where nothing else is installed.
"""
