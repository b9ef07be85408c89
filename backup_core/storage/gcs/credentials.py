"""Where the access token comes from: google-auth, asked when first needed.

It knows key files, workload identity, the gcloud program's login and the service accounts of
machines. It is imported only here and only when a token is wanted, and speaks through our own
connections: its adapters for requests or urllib3 cost more to import than the rest of a wal-push.
Its `before_request` is not used, because that also looks up where a service account may be used
from, at another host and in another thread.
"""

from __future__ import annotations

import json
import logging
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from backup_core import log
from backup_core.errors import ConfigError, StorageError
from backup_core.storage.http import Connections, Request
from backup_core.storage.options import StoreOptions
from backup_core.storage.retry import PassingError

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)
_HINT = (
    "Set GOOGLE_APPLICATION_CREDENTIALS to a key file, log in with gcloud, or give this host a "
    "service account."
)


class TokenSource(Protocol):
    """Hands out a valid token each time it is asked."""

    def current(self) -> str:
        """Return the token to send now; raises ConfigError, or PassingError for no answer."""

    def renewed(self, refused: str) -> str:
        """Return another token than the one that the server refused."""


def token_source(options: StoreOptions) -> TokenSource | None:
    """Choose the source; an emulator wants no credentials."""
    return None if options.gcs.emulator else SdkTokens(options)


class SdkTokens:
    """Tokens of google-auth's credentials, renewed minutes before they expire; safe for threads."""

    def __init__(self, options: StoreOptions) -> None:
        self._file = options.gcs.credentials_file
        self._transport = _Transport(options)
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None

    def current(self) -> str:
        with self._lock, _translated():
            credentials = self._loaded()
            from google.auth.credentials import TokenState

            state = credentials.token_state
            if state is not TokenState.FRESH:
                self._refresh(credentials, is_valid=state is TokenState.STALE)
            return str(credentials.token)

    def renewed(self, refused: str) -> str:
        with self._lock, _translated():
            credentials = self._loaded()
            if credentials.token == refused:
                self._refresh(credentials)
            return str(credentials.token)

    def _loaded(self) -> Credentials:
        if self._credentials is None:
            logging.getLogger("google.auth").setLevel(logging.ERROR)  # its advice is to programmers
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._credentials = self._load()
        return self._credentials

    def _load(self) -> Credentials:
        if self._file is not None:
            return _from_file(self._file, self._transport)
        import google.auth

        return google.auth.default(scopes=_SCOPES, request=self._transport)[0]  # type: ignore[arg-type]

    def _refresh(self, credentials: Credentials, *, is_valid: bool = False) -> None:
        """Ask for a new token; what passes does not matter while the old one is good."""
        try:
            with _translated():
                credentials.refresh(self._transport)  # type: ignore[no-untyped-call]
        except PassingError as error:
            if not is_valid:
                raise
            logger = log.get("storage")
            log.event(logger, log.WARNING, "a token was not renewed", reason=error.message)


def _from_file(path: Path, transport: _Transport) -> Credentials:
    """Load a file of the usual kinds directly; google-auth would ask for the project's name too."""
    info = json.loads(path.read_bytes())
    if not isinstance(info, dict):
        raise ValueError(f"{path} holds no JSON object")  # noqa: TRY004 (of the file's content)
    kind, source = info.get("type"), info.get("credential_source") or {}
    if kind == "service_account":
        from google.oauth2 import service_account

        return service_account.Credentials.from_service_account_info(info, scopes=_SCOPES)  # type: ignore[no-untyped-call,no-any-return]
    if kind == "external_account" and not {"environment_id", "executable"} & source.keys():
        from google.auth import identity_pool

        return identity_pool.Credentials.from_info(info, scopes=_SCOPES)  # type: ignore[no-untyped-call,no-any-return]
    import google.auth

    return google.auth.load_credentials_from_file(str(path), scopes=_SCOPES, request=transport)[0]  # type: ignore[no-untyped-call,no-any-return]


@contextmanager
def _translated() -> Iterator[None]:
    """Make our errors of what google-auth raises: its own, and those of files and JSON."""
    from google.auth import exceptions

    try:
        yield
    except exceptions.TransportError as error:
        message = f"cannot get a token for Google Cloud Storage: {error}"
        cause = error.__cause__
        if isinstance(cause, StorageError):
            raise type(cause)(message, hint=cause.hint) from None
        raise PassingError(message) from None
    except exceptions.GoogleAuthError as error:
        raise _refused(str(error.args[0] if error.args else error), error.retryable) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"cannot read credentials for Google Cloud Storage: {error}"
        raise ConfigError(message, hint=_HINT) from None


def _refused(said: str, is_passing: bool) -> StorageError | ConfigError:
    if is_passing:
        return PassingError(f"cannot get a token for Google Cloud Storage: {said}")
    if "invalid_grant" in said and ("short-lived" in said or "iat and exp" in said):
        return StorageError(
            "cannot get a token for Google Cloud Storage: this host's clock is wrong",
            hint="Set this host's clock (NTP): a request for a token is good for an hour.",
        )
    return ConfigError(f"cannot get a token for Google Cloud Storage: {said}", hint=_HINT)


class _Answer:
    """An answer as google-auth wants it; header names in any case."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status = status
        self.data = data
        self.headers = Message()
        for name, value in headers.items():
            self.headers[name] = value


class _Transport:
    """Makes the requests of google-auth, which brings its own short timeouts."""

    def __init__(self, options: StoreOptions) -> None:
        self._options = options

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_more: object,
    ) -> _Answer:
        """Send one request; raises google-auth's TransportError if there is no answer."""
        from google.auth import exceptions

        sent = body.encode() if isinstance(body, str) else body
        request = Request(
            method=method, url=url, headers=headers or {}, body=(sent,) if sent else ()
        )
        try:
            response = self._connections(timeout).send(request)
            return _Answer(response.status, response.headers, response.read())
        except StorageError as error:
            raise exceptions.TransportError(error.message) from error  # type: ignore[no-untyped-call]

    def _connections(self, timeout: float | None) -> Connections:
        """Connections that are not kept: a token is asked for once an hour."""
        options = self._options
        return Connections(
            connect_timeout=min(options.connect_timeout, timeout or options.connect_timeout),
            request_timeout=timeout or options.request_timeout,
            idle=0,
            proxy=options.https_proxy,
            no_proxy=options.no_proxy,
        )
