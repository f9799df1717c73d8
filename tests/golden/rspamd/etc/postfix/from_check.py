# Managed by mailprov: do not edit, the inventory is where this file comes from.
"""Milter for submitted mail: the addresses in From: must be the user's own, as the sender of the envelope must.

Readers see From: and not the envelope, so who may not send as another may not write so either (RFC 6409 section 8.1;
RFC 5322 section 3.6.2). Postfix starts one process for each session (master.cf, spawn(8)), with the milter protocol on
standard input and output; nothing else runs, and nothing is kept. Whose an address is stands in the map that
smtpd_sender_login_maps names.
"""

import re
import struct
import sys
from email.utils import getaddresses

LOGINS = "/etc/postfix/mailprov/logins"
DELIMITER = "+"
# What Postfix need not send: CONNECT, HELO, RCPT, BODY, UNKNOWN, DATA. And headers get no answer (mfdef.h: SMFIP_…).
SKIP = 0x1 | 0x2 | 0x8 | 0x10 | 0x100 | 0x200 | 0x80


def owner(address):
    """The login that may use this address; "" for none. A detail makes no other address of it."""
    local, _, domain = address.lower().rpartition("@")
    names = [local + "@" + domain]
    if DELIMITER and DELIMITER in local:
        names.append(local.partition(DELIMITER)[0] + "@" + domain)
    with open(LOGINS, encoding="ascii", errors="replace") as rows:
        found = dict(row.split(None, 1) for row in rows if row.startswith(tuple(name + " " for name in names)))
    return next((found[name].strip() for name in names if name in found), "")


def foreign(login, headers):
    """The first address in these From: headers that is not this login's; "" when all are.

    Programs differ in how they read what is no proper address: all that stands in angle brackets counts as one, and
    a header without any is nobody's.
    """
    for header in headers:
        found = [address for _, address in getaddresses([header])] or [""]
        found += re.findall(r"<([^<>]*)>", re.sub(r'"(?:[^"\\]|\\.)*"', "", header))
        for address in found:
            if owner(address) != login.lower():
                return address or "?"
    return ""


def read(stream, count):
    data = stream.read(count)
    if len(data) != count:
        sys.exit(0)
    return data


def words(data):
    return [part.decode("utf-8", "replace") for part in data.split(b"\0")[:-1]]


def main(stream, out):
    login, headers = "", []

    def answer(code, data=b""):
        out.write(struct.pack("!I", len(data) + 1) + code + data)
        out.flush()

    while True:
        size = struct.unpack("!I", read(stream, 4))[0]
        packet = read(stream, size)
        command, data = packet[:1], packet[1:]
        if command == b"O":  # negotiation: version, actions, what is skipped
            version, _, offered = struct.unpack("!III", data[:12])
            answer(b"O", struct.pack("!III", min(version, 6), 0, SKIP & offered))
        elif command == b"D" and data[:1] == b"M":  # macros of MAIL
            pairs = words(data[1:])
            login = dict(zip(pairs[::2], pairs[1::2])).get("{auth_authen}", "")
        elif command == b"M":
            headers = []
            answer(b"c")
        elif command == b"L":
            name, value = [*words(data), "", ""][:2]
            if name.lower() == "from":
                headers.append(value)
        elif command == b"N":  # end of the headers
            stranger = foreign(login, headers)
            if stranger:
                shown = "".join(sign for sign in stranger if sign.isprintable() and sign != "%")[:200]
                reason = "550 5.7.1 From: <%s> is not an address of the user %s" % (shown, login)
                answer(b"y", reason.encode("ascii", "replace") + b"\0")
            else:
                answer(b"c")
        elif command == b"E":
            answer(b"c")
        elif command in (b"Q", b""):
            return
        # A (abort), D (other macros) and K (next session) want no answer.


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
