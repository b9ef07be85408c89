"""From settings to the options of the stores, and which settings cannot stand together.

What asks for encryption or for a lock is looked at for every store: with another store in use it
would be passed over, and the operator would believe in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from backup_core.config.settings import Settings
from backup_core.errors import ConfigError

if TYPE_CHECKING:
    from backup_core.storage.options import GcsOptions, S3Options, StoreOptions

_ENCRYPTED_BY = {
    "s3_sse": "s3",
    "s3_sse_kms_id": "s3",
    "s3_sse_c": "s3",
    "gcs_encryption_key": "gs",
}


def scheme(url: str) -> str:
    """Name the kind of store of a repository: file, s3 or gs."""
    return url.partition("://")[0]


def concerns(name: str, store: str) -> bool:
    """Tell whether the setting `name` matters to that kind of store."""
    owner = {"s3": "s3", "gcs": "gs"}.get(name.partition("_")[0], store)
    return owner == store


def refuse_contradictions(settings: Settings, origins: Mapping[str, str]) -> None:
    """Raise ConfigError for settings of which one would not do what the operator thinks."""
    refuse_plaintext(settings, origins)
    if scheme(settings.repository) == "s3":
        _check_encryption(settings, origins)
        _check_credentials(settings, origins)
        _check_endpoint(settings, origins)


def refuse_plaintext(settings: Settings, origins: Mapping[str, str]) -> None:
    """Raise ConfigError if a key or mode of encryption belongs to another store than the one used.

    `origins` says where each setting came from, by field name.
    """
    store = scheme(settings.repository)
    for name, owner in _ENCRYPTED_BY.items():
        if store != owner and getattr(settings, name) is not None:
            raise ConfigError(
                f"{origins[name]} asks for encryption by an {owner}:// store, "
                f'but the repository is "{settings.repository}"',
                hint=f"It is refused rather than passed over; unset {name} "
                "if this repository need not be encrypted that way.",
            )


def warnings(settings: Settings, origins: Mapping[str, str]) -> list[str]:
    """Write a sentence for what was meant to protect, but has no effect on the store in use."""
    if settings.s3_retention_period is None or scheme(settings.repository) == "s3":
        return []
    return [f"{origins['s3_retention_period']} has no effect: only an s3:// repository is locked."]


def _check_encryption(settings: Settings, origins: Mapping[str, str]) -> None:
    if settings.s3_sse_c is not None and settings.s3_sse is not None:
        raise ConfigError(
            f"{origins['s3_sse_c']} and {origins['s3_sse']} exclude each other",
            hint="Choose one: a key of yours with every request, or one that the server keeps.",
        )
    if settings.s3_sse_kms_id is not None and not (settings.s3_sse or "").startswith("aws:kms"):
        raise ConfigError(
            f"{origins['s3_sse_kms_id']} names a KMS key, but s3_sse is not aws:kms",
            hint="Set WALG_S3_SSE=aws:kms.",
        )
    if settings.s3_sse_c is not None and (settings.s3_endpoint or "").startswith(
        ("http:", "http+")
    ):
        raise ConfigError(
            f"{origins['s3_sse_c']} would be sent in the clear to {settings.s3_endpoint}",
            hint="Use an https:// endpoint.",
        )


def _check_credentials(settings: Settings, origins: Mapping[str, str]) -> None:
    key, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    if key is not None and secret is None:
        raise ConfigError(
            f"{origins['s3_access_key_id']} is set without its secret",
            hint="Set AWS_SECRET_ACCESS_KEY too, or neither.",
        )
    if key is None and (secret is not None or settings.s3_session_token is not None):
        alone = "s3_secret_access_key" if secret is not None else "s3_session_token"
        raise ConfigError(
            f"{origins[alone]} is set without the id of its key",
            hint="Set AWS_ACCESS_KEY_ID too, or none of them.",
        )


def _check_endpoint(settings: Settings, origins: Mapping[str, str]) -> None:
    if "/" in (settings.s3_endpoint or "").partition("://")[2]:
        raise ConfigError(
            f'{origins["s3_endpoint"]}: "{settings.s3_endpoint}" has a path',
            hint="Give scheme, host and port; the bucket belongs into the repository's URL.",
        )


def store_options(settings: Settings) -> StoreOptions:
    """Put together what the stores need to be told; no store's library is imported."""
    from backup_core.storage.options import StoreOptions

    uploads = settings.upload_disk_concurrency + settings.upload_concurrency
    return StoreOptions(
        s3=_s3(settings),
        gcs=_gcs(settings),
        connections=max(settings.download_concurrency, uploads),
        upload_concurrency=settings.upload_concurrency,
        connect_timeout=settings.connect_timeout,
        request_timeout=settings.request_timeout,
        retry_timeout=settings.retry_timeout,
        max_retries=settings.max_retries,
        https_proxy=settings.https_proxy,
        no_proxy=settings.no_proxy,
    )


def _s3(settings: Settings) -> S3Options:
    from backup_core.storage.options import S3Options

    endpoint, calling_style = _split_endpoint(settings.s3_endpoint)
    explicit = settings.s3_path_style
    return S3Options(
        endpoint=endpoint,
        region=settings.s3_region,
        path_style=calling_style if explicit is None else explicit,
        dual_stack=settings.s3_dual_stack,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
        session_token=settings.s3_session_token,
        profile=settings.s3_profile,
        ca_cert_file=settings.s3_ca_cert_file,
        storage_class=settings.s3_storage_class,
        sse=settings.s3_sse,
        sse_kms_id=settings.s3_sse_kms_id,
        sse_c=settings.s3_sse_c,
        retention_period=settings.s3_retention_period,
        retention_mode=settings.s3_retention_mode,
        part_size=settings.s3_max_part_size,
        list_version=1 if settings.s3_use_list_objects_v1 else 2,
        delete_batch=settings.s3_delete_batch_size,
        headers=settings.s3_headers or {},
    )


def _split_endpoint(endpoint: str | None) -> tuple[str | None, bool | None]:
    """Take WAL-E's calling format off an endpoint: the URL, and whether it says path style."""
    if endpoint is None:
        return None, None
    scheme, _, address = endpoint.partition("://")
    protocol, plus, calling_format = scheme.partition("+")
    return f"{protocol}://{address}", calling_format == "path" if plus else None


def _gcs(settings: Settings) -> GcsOptions:
    from backup_core.storage.options import GcsOptions

    return GcsOptions(
        emulator=settings.gcs_emulator,
        credentials_file=settings.gcs_credentials_file,
        encryption_key=settings.gcs_encryption_key,
        chunk_size=settings.gcs_max_chunk_size,
        normalize_prefix=settings.gcs_normalize_prefix,
    )
