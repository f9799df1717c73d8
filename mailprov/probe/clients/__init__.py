"""One client for each protocol, on sockets: they show what the server says, byte for byte, and judge nothing.

    errors        why a probe could not test
    connection    a socket with a deadline, an exact line reader, a redacted transcript
    tls           contexts, and what a certificate says of itself
    client        what the clients have in common: greet, start_tls, offers, login, prove_login
    smtp, imap, pop3, managesieve    the clients
    session       a session past its greeting, by whatever protocol
    folders       where in a mailbox a message may have arrived
    resolver      DNS as the authoritative server gives it

Nothing here imports from the rest of `probe`.
"""
