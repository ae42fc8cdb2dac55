"""Passwords: argon2id with the parameters of RFC 9106 for machines with little memory (64 MiB, three passes)."""

from __future__ import annotations

import secrets
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST: Final = 10
LONGEST: Final = 200
"""Longer ones are refused before they cost anything."""
LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"

_hasher = PasswordHasher()
_nobody = _hasher.hash(secrets.token_hex(16))


def hash_of(password: str) -> str:
    """What is kept of a password. Takes a tenth of a second and 64 MiB."""
    return _hasher.hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Whether it is the password; None (nobody has that name) takes just as long."""
    try:
        return _hasher.verify(kept or _nobody, password) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


def make() -> str:
    """A password for people to copy: 100 bits, in groups of five, without letters that look alike."""
    groups = ("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(4))
    return "-".join(groups)


def complaint(password: str, name: str = "") -> str:
    """Why it cannot be a password, or nothing."""
    if len(password) < SHORTEST:
        return f"a password has at least {SHORTEST} characters"
    if len(password) > LONGEST:
        return f"a password has at most {LONGEST} characters"
    if name and name.lower() in password.lower():
        return "the name must not be part of the password"
    if len(set(password)) < 5:
        return "a password has at least 5 different characters"
    return ""
