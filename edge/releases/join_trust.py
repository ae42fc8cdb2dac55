"""Whether a join file may be believed: signed by the site, in one piece, and of the site that is here already.

The file travels by mail or on a stick. Its certificate authority decides which broker the device believes, and its
TUF root whose models it runs, so a forged file would hand the device over.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID
from msgspec import UNSET
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from edge.config.join_file import CA, MODELS_ROOT, Join, signed_bytes
from edge.util.errors import UserError

CODE_LETTERS: Final = 15
"""Of base32: 75 bits."""
GROUP: Final = 5


def code_of(join: Join) -> str:
    """Return the code that `fleet enrol` shows and the installer compares: a hash of all but the key."""
    text = base64.b32encode(hashlib.sha256(signed_bytes(join)).digest()).decode()[:CODE_LETTERS]
    return "-".join(text[at : at + GROUP] for at in range(0, CODE_LETTERS, GROUP))


class Consent(NamedTuple):
    """What the user says about a join file."""

    code: str | None = None
    """The code that `fleet enrol` showed; None: not given."""
    new_site: bool = False
    """Accept a site other than the one whose files are in the folder."""
    unconfirmed: bool = False
    """Accept the first file of a site without its code."""
    ask: Callable[[], str | None] = lambda: None
    """Ask for the code; None where no one can be asked."""


def ask_at_terminal() -> str | None:
    """Return the code that is typed at the terminal; None where standard input is none."""
    if not sys.stdin.isatty():
        return None
    # Not `input`: standard output may be a file that gets the settings.
    print("Code that `roomtone fleet enrol` showed: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def check(join: Join, folder: Path, consent: Consent = Consent()) -> str:  # noqa: B008 - immutable
    """Check a join file before it is unpacked into `folder`; return what to show to the user, one line or nothing.

    The first file of a site has to be confirmed by its code. Raises `UserError`.
    """
    authority = _certificate(join.ca, "ca")
    _check_signature(join, authority)
    _check_identity(join, authority)
    root = None if join.models is UNSET else _root(join.models.root)
    if consent.code is not None:
        _check_code(join, consent.code)
    if not (folder / CA).is_file():
        return _confirm(join, consent)
    old = _certificate((folder / CA).read_text(encoding="ascii", errors="replace"), str(folder / CA))
    same = old.public_key() == authority.public_key() and _continues(folder / MODELS_ROOT, root)
    if same:
        return ""
    prints = f"here {fingerprint(old)}, in the file {fingerprint(authority)}"
    if not consent.new_site:
        raise UserError(
            f"the join file is not of the site that this device belongs to ({prints}): with --new-site it changes over"
        )
    return "; ".join(filter(None, (f"another site: {prints}", _confirm(join, consent))))


def _confirm(join: Join, consent: Consent) -> str:
    """Check that the user knows the code of the file, or does without; return what to show."""
    if consent.code is not None:
        return ""
    if consent.unconfirmed:
        return f"the join file was not confirmed; its code is {code_of(join)}"
    code = consent.ask()
    if not code:
        raise UserError(
            "the join file is not confirmed: add --code with the code that `fleet enrol` showed, or "
            "--accept-unconfirmed where no one can have changed the file on its way"
        )
    _check_code(join, code)
    return ""


def _check_code(join: Join, code: str) -> None:
    if code.upper().replace(" ", "") != code_of(join):
        # The right one is not said: who copies it from here has compared nothing.
        raise UserError(
            f"{code} is not the code of this join file. `fleet enrol` showed it; if that is what you typed, the file "
            "was changed on its way: make it again with `fleet renew`"
        )


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the first 16 bytes of a certificate's SHA-256, in hexadecimal pairs."""
    return certificate.fingerprint(hashes.SHA256())[:16].hex(":")


def _certificate(pem: str, what: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode("ascii"))
    except ValueError:
        raise UserError(f"{what}: not a certificate; ask for a new join file") from None


def _check_signature(join: Join, authority: x509.Certificate) -> None:
    key = authority.public_key()
    try:
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise InvalidSignature
        key.verify(
            base64.b64decode(join.signature, validate=True), signed_bytes(join), ec.ECDSA(hashes.SHA256())
        )
    except (InvalidSignature, binascii.Error):
        raise UserError("the join file is not signed by its site: make it again with `fleet renew`") from None


def _check_identity(join: Join, authority: x509.Certificate) -> None:
    """Check that the certificate is the site's, for this name, and for the key where that is in the file."""
    own = _certificate(join.certificate, "certificate")
    try:
        own.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        raise UserError("the join file's certificate is not of its site") from None
    names = [one.value for one in own.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [join.name]:
        raise UserError(f"the join file is for {join.name!r}, and its certificate for {names}")
    if not join.key:
        return
    try:
        key = load_pem_private_key(join.key.encode("ascii"), None)
    except (ValueError, TypeError):
        raise UserError("the join file's key cannot be read") from None
    if key.public_key() != own.public_key():
        raise UserError("the join file's key is not that of its certificate")


def _root(text: str) -> Metadata[Root]:
    """Return the root that signs models, if it is one and signed by its own keys. Raises `UserError`."""
    try:
        found = Metadata[Root].from_bytes(text.encode())
        found.signed.verify_delegate(Root.type, found.signed_bytes, found.signatures)
    except (RepositoryError, ValueError, TypeError, KeyError, AttributeError):
        raise UserError("the join file's models.root is not a root that signs models") from None
    return found


def _continues(path: Path, new: Metadata[Root] | None) -> bool:
    """Whether the new root is the one in the file, or a later one that the keys of that one have signed."""
    if not path.is_file():
        return True
    if new is None:
        return True  # It stays as it is.
    try:
        old = Metadata[Root].from_bytes(path.read_bytes())
        if new.signed == old.signed:
            return True
        old.signed.verify_delegate(Root.type, new.signed_bytes, new.signatures)
    except (RepositoryError, ValueError, TypeError, KeyError, AttributeError):
        return False
    return new.signed.version > old.signed.version
