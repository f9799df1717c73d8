"""The order of things across hosts, zones and probes, and nothing else.

    event_queue.py  events from many threads to one consumer, in the main thread
    gate.py         the one decision of a run: go on, or not
    hosts.py        one host's conversation, from connect to end
    zones.py        planning and publishing the DNS zones
    as_saved.py     whether hosts and zones are as when their plan was saved
    deploy.py       plan and apply: hosts, then zones, then verification
    zone_backup.py  what a zone was before, kept on hosts that are not changed otherwise
    rollback.py     hosts and zones back to the state before a run
    rotate.py       DKIM keys: a new one, published, used, the old one taken away
    dkim_keys.py    the DKIM keys of hosts, for their zones
    history.py      what hosts tell of earlier runs
    believed.py     what of a host's words is good for more than itself
    purge.py        mailboxes whose accounts are gone
    bans.py         whom hosts have shut out
    verify.py       verification alone
    select.py       --host, --domain and --only
    unfinished.py   what a run did not do, for its last line
    ident.py        the names of runs
    exit_code.py    what several endings come to

Each public function takes `report: Emit`, calls it from the calling thread only, and returns the exit code of
design.md section 5. MailprovErrors of a host, a zone or a probe become events; none escapes.
"""
