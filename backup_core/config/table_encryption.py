"""The rows of encryption on this side of the store: schemes, keys, and where keys come from.

WAL-G's and WAL-E's names for the two schemes that they have, so that an envdir which makes them
encrypt makes pitr encrypt too.
"""

from __future__ import annotations

from backup_core.config import encryption_values, values
from backup_core.config.row import Row

_SCHEMES = ("age", "libsodium", "openpgp", "none")

ENCRYPTION_ROWS: dict[str, Row] = {
    "encryption": Row(
        parse=values.choice({name: name for name in _SCHEMES}),
        about="Scheme that encrypts what is written: `age`, `libsodium`, `openpgp` or `none`. "
        "What is read is known by its content.",
        default="the one whose keys are set",
    ),
    "require_encryption": Row(
        parse=values.boolean,
        about="Whether to refuse an object that should be encrypted and is not.",
    ),
    "compat": Row(
        parse=values.choice({"wal-g": "wal-g", "none": "none"}),
        about="`wal-g` writes `files_metadata.json`, which names the files, in the clear beside an "
        "encrypted backup, for deltas that stock wal-g makes on top; `none` writes none.",
    ),
    "age_recipients": Row(
        parse=encryption_values.recipients,
        about="Public keys that age encrypts for, separated by commas or blanks.",
        default="none",
    ),
    "age_recipients_file": Row(
        parse=values.path,
        about="A file of such keys, one a line; they are added to the others.",
        default="none",
    ),
    "age_identity": Row(
        parse=encryption_values.identities,
        about="Secret key that age decrypts with, `AGE-SECRET-KEY-1...`.",
        default="not set",
        secret=True,
    ),
    "age_identity_file": Row(
        parse=values.path,
        about="A file of such keys, one a line, which only its owner may read.",
        default="none",
    ),
    "key_command": Row(
        parse=values.line,
        about="A command, run without a shell, that prints the secret key of the scheme: for keys "
        "that a vault or a KMS keeps.",
        default="none",
        secret=True,
    ),
    "libsodium_key": Row(
        parse=values.line,
        about="Key of libsodium.",
        walg="LIBSODIUM_KEY",
        default="not set",
        secret=True,
    ),
    "libsodium_key_file": Row(
        parse=values.path,
        about="A file with that key, which only its owner may read.",
        also=("WALG_LIBSODIUM_KEY_PATH", "WALE_LIBSODIUM_KEY_PATH"),
        default="none",
    ),
    "libsodium_key_transform": Row(
        parse=values.choice({name: name for name in ("none", "base64", "hex")}),
        about="How that key is written: `none` for 25 bytes or more, of which 32 count and which "
        "zeros fill up; `base64` or `hex` for exactly 32.",
        walg="LIBSODIUM_KEY_TRANSFORM",
    ),
    "pgp_key": Row(
        parse=encryption_values.armoured_key,
        about="OpenPGP key in ASCII armour; `\\n` may stand for newlines. A public key encrypts, "
        "a private one decrypts too.",
        walg="PGP_KEY",
        default="not set",
        secret=True,
    ),
    "pgp_key_file": Row(
        parse=values.path,
        about="A file with such a key.",
        also=("WALG_PGP_KEY_PATH", "WALE_PGP_KEY_PATH"),
        default="none",
    ),
    "pgp_key_passphrase": Row(
        parse=values.line,
        about="Passphrase of the private key.",
        walg="PGP_KEY_PASSPHRASE",
        default="not set",
        secret=True,
    ),
    "gpg_key_id": Row(
        parse=encryption_values.key_name,
        about="The key in gpg's keyring that OpenPGP encrypts for.",
        also=("WALE_GPG_KEY_ID", "WALG_GPG_KEY_ID", "GPG_KEY_ID"),
        default="not set",
    ),
    "gpg_program": Row(
        parse=encryption_values.program,
        about="The gpg program, by name or path.",
        also=("GPG_BIN",),
    ),
}
"""Field name to row, in the order of the fields."""
