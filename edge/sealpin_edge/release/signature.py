"""Signatures of bundles: Ed25519, made and verified by OpenSSH's own `ssh-keygen -Y`, which every station has.

The format is OpenSSH's (PROTOCOL.sshsig); `allowed_signers` is ssh-keygen(1)'s file of the keys that a station trusts.
Only Python's own library is needed here: stations without sealpin verify too.
"""

import tempfile
from pathlib import Path

from ..command import run_program
from ..errors import EnvironmentFault, InputError
from ..files import read_text

NAMESPACE = "sealpin-bundle"
SIGNER = "sealpin"


def new_key(path: Path, comment: str) -> str:
    """Make an Ed25519 key: the secret half at `path`, readable by its owner only, the other at `path`.pub.

    Returns the public half. Raises InputError when there is a key already.
    """
    if path.exists():
        raise InputError(
            "there is a key already",
            where=str(path),
            advice="it is used as it is; or make another elsewhere: --out PATH",
        )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _ssh_keygen(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    return public_key(path)


def public_key(path: Path) -> str:
    """The public half of a key, as OpenSSH writes it: kind and base64. Raises InputError when it is no Ed25519 key."""
    try:
        kind, data = read_text(path.with_name(f"{path.name}.pub")).split()[:2]
    except (OSError, ValueError):
        kind = data = ""
    if kind != "ssh-ed25519":
        raise InputError(
            "no Ed25519 key here",
            where=str(path),
            allowed="a key, and its .pub beside it",
            hint="sealpin keys new",
        )
    return f"{kind} {data}"


def fingerprint(public: str) -> str:
    """A public key's SHA-256 fingerprint, as ssh shows it."""
    return _ssh_keygen(["-l", "-f", "-"], f"{public}\n".encode()).decode().split()[1]


def allowed_signers(keys: list[str]) -> str:
    """The file that makes a station trust these public keys."""
    return "".join(f'{SIGNER} namespaces="{NAMESPACE}" {key}\n' for key in keys)


def sign(data: bytes, key: Path) -> bytes:
    """Sign with a secret key; the same data and key give the same bytes. ssh-keygen asks for a passphrase itself."""
    public_key(key)
    return _ssh_keygen(["-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key)], data)


def signed_by(data: bytes, signature: bytes, where: str) -> str:
    """The fingerprint of the key, trusted or not, that made this signature of `data`; "" where there is none.

    Raises InputError when it is one of something else.
    """
    if not signature:
        return ""
    with tempfile.NamedTemporaryFile() as file:
        file.write(signature)
        file.flush()
        try:
            told = _ssh_keygen(["-Y", "check-novalidate", "-n", NAMESPACE, "-s", file.name], data).decode()
        except EnvironmentFault as error:
            if not error.found:  # there is no ssh-keygen
                raise
            raise InputError(
                "the signature in this bundle is not of what is in it",
                where=where,
                found=error.found,
                allowed="a bundle as `sealpin bundle` has made it",
                advice="copy it again from where it was made, or make it anew",
            ) from None
    return told.split()[-1]


def verify(data: bytes, signature: bytes, signers: Path, where: str) -> None:
    """Raise InputError unless `signature` is one of `data` by a key in the file `signers`."""
    if not signature:
        raise InputError(
            "this bundle is not signed",
            where=where,
            allowed="a bundle signed with a key that the station trusts",
            advice="make a key, prepare the station with it, then make the bundle again",
            hint="sealpin keys new",
        )
    with tempfile.NamedTemporaryFile() as file, tempfile.NamedTemporaryFile() as trusted:
        for copy, content in ((file, signature), (trusted, read_text(signers).encode())):
            copy.write(content)
            copy.flush()
        try:
            _ssh_keygen(
                ["-q", "-Y", "verify", "-n", NAMESPACE, "-f", trusted.name, "-I", SIGNER, "-s", file.name], data
            )
        except EnvironmentFault as error:
            raise InputError(
                "the signature is not one that this station trusts",
                where=where,
                found=error.found,
                allowed=f"a key in {signers}",
                advice="sign with the key that the station was prepared with, or prepare it with yours",
            ) from None


def _ssh_keygen(arguments: list[str], given: bytes = b"") -> bytes:
    return run_program(["ssh-keygen", *arguments], given=given, hint="sudo apt install openssh-client")
