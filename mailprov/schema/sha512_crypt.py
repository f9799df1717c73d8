"""sha512_crypt(password) -> "{SHA512-CRYPT}$6$…": the hash that Dovecot and crypt(3) of every host know.

After "Unix crypt using SHA-256 and SHA-512" (Ulrich Drepper, 2008), tested with its vectors. Written out because Python
has no crypt any more since 3.13, passlib is not kept, and `openssl passwd -6` is not on every machine. A hash that
stands in an inventory may be seen by more people than one on a host, hence more rounds than crypt's 5000: it takes a
host 30 ms to check. Pure but for the salt.
"""

from __future__ import annotations

import hashlib
import secrets

ROUNDS = 50_000
_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def sha512_crypt(password: str, salt: str = "", rounds: int = ROUNDS) -> str:
    salt = salt or "".join(secrets.choice(_ALPHABET) for _place in range(16))
    given = "" if rounds == 5000 else f"rounds={rounds}$"
    return f"{{SHA512-CRYPT}}$6${given}{salt}${_hashed(password.encode(), salt.encode(), rounds)}"


def _hashed(key: bytes, salt: bytes, rounds: int) -> str:
    """The numbers of the steps are those of the specification."""
    alternate = hashlib.sha512(key + salt + key).digest()  # 4 to 8
    first = hashlib.sha512(key + salt + _filled(alternate, len(key)))  # 1 to 10
    bits = len(key)
    while bits:  # 11
        first.update(alternate if bits & 1 else key)
        bits >>= 1
    digest = first.digest()
    p = _filled(hashlib.sha512(key * len(key)).digest(), len(key))  # 13 to 16
    s = _filled(hashlib.sha512(salt * (16 + digest[0])).digest(), len(salt))  # 17 to 20
    for number in range(rounds):  # 21
        step = p if number & 1 else digest
        step += s if number % 3 else b""
        step += p if number % 7 else b""
        step += digest if number & 1 else p
        digest = hashlib.sha512(step).digest()
    text = ""
    a, b, c = 0, 21, 42
    for _group in range(21):  # 22
        text += _base64(digest[a] << 16 | digest[b] << 8 | digest[c], 4)
        a, b, c = b + 1, c + 1, a + 1
    return text + _base64(digest[63], 2)


def _filled(block: bytes, length: int) -> bytes:
    return (block * (length // len(block) + 1))[:length]


def _base64(value: int, count: int) -> str:
    return "".join(_ALPHABET[value >> 6 * place & 63] for place in range(count))
