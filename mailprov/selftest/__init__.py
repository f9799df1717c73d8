"""Each probe against something that is broken in exactly its way, and against something sound: who judges the judge.

    matrix            all fixtures, and a run of them
    fixture           something sound, or broken in one way, and what probes must say of it
    broken            what the words for faults mean, for people
    *_cases           the fixtures of a family of probes

    certificates      an authority, and certificates that are right or wrong in one way each
    state             who there is, what is broken, what was asked
    handshakes        answers to a ClientHello that OpenSSL no longer gives
    session           one scripted connection, whatever its protocol
    smtp_server, mailbox_servers, sieve_server
                      what a mail host answers; faults are words
    signer            DKIM signatures of the scripted hosts
    servers           the world: two mail hosts and a name server on loopback
    scripted_lab      the world and the inventory that describes it
    web_server, webmail_server, policy_server
                      web servers for its web corner, Roundcube, MTA-STS
    zone_texts, zone_servers
                      zones, signed ones too, and a small DNS that holds them

All of it is on loopback and needs no root. No host that anybody has is touched.
"""
