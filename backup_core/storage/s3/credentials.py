"""Where the access key comes from: the settings, or the SDK's own chain.

The chain knows profiles, web identity, and the roles of instances and containers, and renews what
expires. It takes ten times as long to import as to sign a request, so keys that are in the
settings (an envdir's AWS_ACCESS_KEY_ID) never load it.
"""

from __future__ import annotations

import threading
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

    def __init__(self, profile: str | None) -> None:
        self._profile = profile
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._found: SdkCredentials | None = None

    @property
    def region(self) -> str | None:
        self._load()
        assert self._session is not None
        region = self._session.get_config_variable("region")
        return str(region) if region else None

    def current(self) -> Credentials:
        from botocore.exceptions import BotoCoreError

        try:
            found = self._load()
            if found is None:
                raise ConfigError(
                    "there are no credentials for S3",
                    hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give "
                    "this host a role.",
                )
            frozen = found.get_frozen_credentials()
        except BotoCoreError as error:
            raise ConfigError(
                f"cannot get credentials for S3: {error}",
                hint="Check AWS_PROFILE and ~/.aws, or the role of this host.",
            ) from None
        return Credentials(
            access_key_id=frozen.access_key,
            secret_access_key=frozen.secret_key,
            session_token=frozen.token,
        )

    def _load(self) -> SdkCredentials | None:
        from botocore.session import Session

        with self._lock:
            if self._session is None:
                session = Session(profile=self._profile)
                self._found = session.get_credentials()
                self._session = session
            return self._found


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
    return SdkChain(options.profile)
