"""Where the access key comes from: the settings, or the SDK's own chain.

The chain knows profiles, web identity, and the roles of instances and containers, and renews what
expires. It takes ten times as long to import as to sign a request, so keys that are in the
settings (an envdir's AWS_ACCESS_KEY_ID) never load it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from backup_core.errors import ConfigError
from backup_core.storage.options import S3Options
from backup_core.storage.s3.signing import Credentials

if TYPE_CHECKING:
    from botocore.credentials import Credentials as SdkCredentials
    from botocore.session import Session


class CredentialSource(Protocol):
    """Hands out a valid key each time it is asked."""

    @property
    def region(self) -> str | None:
        """The region that belongs to the source, if it names one."""

    def current(self) -> Credentials:
        """Return the key to sign with now; raises ConfigError if there is none."""


class StaticCredentials:
    """The key that the settings hold."""

    region = None

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def current(self) -> Credentials:
        return self._credentials


class SdkChain:
    """The chain of botocore, asked when first needed; safe for threads."""

    def __init__(self, profile: str | None, region: str | None) -> None:
        """`region` tells which token service to ask, where the profile does not or another."""
        self._profile = profile
        self._region = region
        self._lock = threading.Lock()
        self._loaded: tuple[Session, SdkCredentials | None] | None = None

    @property
    def region(self) -> str | None:
        with _translated():
            region = self._load()[0].get_config_variable("region")
        return str(region) if region else None

    def current(self) -> Credentials:
        with _translated():
            found = self._load()[1]
            frozen = found and found.get_frozen_credentials()
        if frozen is None:
            raise ConfigError(
                "there are no credentials for S3",
                hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give "
                "this host a role.",
            )
        return Credentials(
            access_key_id=frozen.access_key,
            secret_access_key=frozen.secret_key,
            session_token=frozen.token,
        )

    def _load(self) -> tuple[Session, SdkCredentials | None]:
        from botocore.session import Session

        with self._lock:
            if self._loaded is None:
                session = Session(profile=self._profile)
                if self._region is not None:
                    session.set_config_variable("region", self._region)
                self._loaded = session, session.get_credentials()
            return self._loaded


@contextmanager
def _translated() -> Iterator[None]:
    """Make a ConfigError of what the chain raises: its own errors, and those of files and URLs."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, OSError, ValueError) as error:
        raise ConfigError(
            f"cannot get credentials for S3: {error}",
            hint="Check AWS_PROFILE and ~/.aws, or the role of this host.",
        ) from None


def credential_source(options: S3Options) -> CredentialSource:
    """Choose the source: keys in the settings are stronger than the chain."""
    if options.access_key_id and options.secret_access_key:
        return StaticCredentials(
            Credentials(
                access_key_id=options.access_key_id,
                secret_access_key=options.secret_access_key,
                session_token=options.session_token,
            )
        )
    return SdkChain(options.profile, options.region)
