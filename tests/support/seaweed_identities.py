"""Who may do what on a test's S3 server: one administrator, one reader, one that cannot delete."""

import json
from dataclasses import dataclass, field

ALL_BUT_DELETE = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:DeleteObject*", "Resource": "*"},
    ],
}


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Keys that the server knows, and what they may do: actions of its own or named policies."""

    name: str
    access_key: str
    secret_key: str
    rights: dict[str, list[str]] = field(hash=False)


ADMIN = Identity(
    name="admin",
    access_key="ADMIN",
    secret_key="admin-secret",
    rights={"actions": ["Admin", "Read", "Write", "List", "Tagging"]},
)
READER = Identity(
    name="reader",
    access_key="READER",
    secret_key="reader-secret",
    rights={"actions": ["Read", "List"]},
)
KEEPER = Identity(
    name="keeper",
    access_key="KEEPER",
    secret_key="keeper-secret",
    rights={"policyNames": ["all-but-delete"]},
)


def configuration() -> str:
    """Return the server's configuration file."""
    return json.dumps(
        {
            "policies": [{"name": "all-but-delete", "content": json.dumps(ALL_BUT_DELETE)}],
            "identities": [_entry(identity) for identity in (ADMIN, READER, KEEPER)],
        }
    )


def _entry(identity: Identity) -> dict[str, object]:
    keys = {"accessKey": identity.access_key, "secretKey": identity.secret_key}
    return {"name": identity.name, "credentials": [keys], **identity.rights}
