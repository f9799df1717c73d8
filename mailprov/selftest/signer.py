"""Signs messages as a right host does, for the scripted world: Ed25519, relaxed/relaxed, one key for all domains."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_KEY = Ed25519PrivateKey.from_private_bytes(b"scripted key of the scripted wor")
_OTHER = Ed25519PrivateKey.from_private_bytes(b"another key that is not publishe")
SELECTOR = "mx-ed25519-1"
SIGNED = ("from", "to", "subject", "date", "message-id")
RECORD = f'"v=DKIM1; k=ed25519; p={base64.b64encode(_KEY.public_key().public_bytes_raw()).decode()}"'


def signed_and_checked(text: bytes, there: str, faults: Collection[str], *, own: bool) -> bytes:
    """Signed on the way out, checked on the way in by `there`; `own`: a user of the sender's host has sent it."""
    found = re.search(rb"^From: <[^@]+@([^>]+)>", text, re.MULTILINE)
    domain = found[1].decode() if found else ""
    if domain and "unsigned" not in faults and re.search(rb"(?m)^Date:", text):
        signed = ("from", "to") if "signs-little" in faults else SIGNED
        text = sign(text, domain, other_key="signs-with-other-key" in faults, signed=signed)
    if "keeps-forgery" not in faults:
        text = re.sub(rb"Authentication-Results: [^\r]*\r\n", b"", text)
    spf = "softfail" if "spf-fails" in faults else "pass"
    dmarc = "none" if "no-dmarc" in faults else "pass" if own else "fail"
    results = (
        f"{there}; dkim=pass (a; b) header.d={domain};\r\n\tspf={spf} smtp.mailfrom={domain}; dmarc={dmarc}"
    )
    return text if "unchecked" in faults else f"Authentication-Results: {results}\r\n".encode() + text


def sign(message: bytes, domain: str, *, other_key: bool = False, signed: tuple[str, ...] = SIGNED) -> bytes:
    """The message with a DKIM-Signature on top. Its fields stand on one line each, as probe messages have them."""
    header, _, body = message.partition(b"\r\n\r\n")
    fields = {line.partition(b":")[0].lower().decode(): line for line in header.split(b"\r\n")}
    text = re.sub(rb"[ \t]+(?=\r\n)", b"", re.sub(rb"[ \t]+", b" ", body)).rstrip(b"\r\n") + b"\r\n"
    digest = base64.b64encode(hashlib.sha256(text).digest()).decode()
    head = f"v=1; a=ed25519-sha256; c=relaxed/relaxed; d={domain}; s={SELECTOR}; h={':'.join(signed)}; bh={digest}; b="
    data = b"".join(_relaxed(fields[name]) + b"\r\n" for name in signed) + b"dkim-signature:" + head.encode()
    key = _OTHER if other_key else _KEY
    value = base64.b64encode(key.sign(hashlib.sha256(data).digest())).decode()
    return f"DKIM-Signature: {head}{value}\r\n".encode() + message


def _relaxed(line: bytes) -> bytes:
    name, _, value = line.partition(b":")
    return name.lower() + b":" + re.sub(rb"[ \t]+", b" ", value).strip()
