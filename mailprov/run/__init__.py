"""The order of things across hosts, zones and probes, and nothing else.

    stream.py   events from many threads to one consumer, in the main thread
    gate.py     the one decision of a run: go on, or not
    hosts.py    one host's conversation, from connect to end
    zones.py    planning and publishing the DNS zones
    as_saved.py whether hosts and zones are as when their plan was saved
    deploy.py   plan and apply: hosts, then zones, then verification
    verify.py   verification alone
    select.py   --host, --domain and --only

Each public function takes `report: Emit`, calls it from the calling thread only, and returns the exit code of
design.md section 5. MailprovErrors of a host, a zone or a probe become events; none escapes.
"""
