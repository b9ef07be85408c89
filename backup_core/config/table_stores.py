"""The rows of the object stores: WAL-G's names with and without its prefix, and the SDKs' own.

WAL-G reads each of these names bare too, so an envdir may have it either way. Credentials are
rows although the SDKs would find them: then `pitr config` shows where they come from, and half a
pair is an error before anything is sent.
"""

from __future__ import annotations

from backup_core.config import locations, store_values, values
from backup_core.config.row import Row

STORE_ROWS: dict[str, Row] = {
    "s3_endpoint": Row(
        parse=locations.endpoint,
        about="Where S3 is served, if not by AWS: `https://host:port`. WAL-E's "
        "`https+path://host:port` says the path style too.",
        walg="AWS_ENDPOINT",
        also=(
            "AWS_ENDPOINT",
            "WALG_S3_ENDPOINT",
            "WALE_S3_ENDPOINT",
            "AWS_ENDPOINT_URL_S3",
            "AWS_ENDPOINT_URL",
        ),
        default="AWS",
    ),
    "s3_region": Row(
        parse=values.word,
        about="The bucket's region.",
        walg="AWS_REGION",
        also=("AWS_REGION", "AWS_DEFAULT_REGION"),
        default="the SDK's",
    ),
    "s3_path_style": Row(
        parse=values.boolean,
        about="Whether the bucket stands in the path of a request instead of the host name.",
        walg="AWS_S3_FORCE_PATH_STYLE",
        also=("AWS_S3_FORCE_PATH_STYLE",),
        default="true with an endpoint or a dot in the bucket's name",
    ),
    "s3_dual_stack": Row(
        parse=values.boolean,
        about="Whether to use the endpoints of AWS that answer on IPv6 too.",
        walg="AWS_DUAL_STACK",
        also=("AWS_DUAL_STACK", "AWS_USE_DUALSTACK_ENDPOINT"),
    ),
    "s3_access_key_id": Row(
        parse=values.word,
        about="Id of a static key; without one the SDK's chain decides: profile, web identity, "
        "container or instance role.",
        walg="AWS_ACCESS_KEY_ID",
        also=("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"),
        default="the SDK's chain",
    ),
    "s3_secret_access_key": Row(
        parse=values.word,
        about="Secret of the static key.",
        walg="AWS_SECRET_ACCESS_KEY",
        also=("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"),
        default="the SDK's chain",
        secret=True,
    ),
    "s3_session_token": Row(
        parse=values.word,
        about="Token that belongs to a temporary key.",
        walg="AWS_SESSION_TOKEN",
        also=("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"),
        default="not set",
        secret=True,
    ),
    "s3_profile": Row(
        parse=values.line,
        about="Profile in the SDK's files of credentials.",
        walg="AWS_PROFILE",
        also=("AWS_PROFILE",),
        default="the SDK's",
    ),
    "s3_ca_cert_file": Row(
        parse=values.path,
        about="Certificates of the authorities to trust, PEM.",
        walg="S3_CA_CERT_FILE",
        also=("S3_CA_CERT_FILE", "AWS_CA_BUNDLE"),
        default="the system's",
    ),
    "s3_storage_class": Row(
        parse=values.word,
        about="Storage class of what is written, such as `STANDARD_IA`.",
        walg="S3_STORAGE_CLASS",
        also=("S3_STORAGE_CLASS",),
        default="the bucket's",
    ),
    "s3_sse": Row(
        parse=values.choice({name.lower(): name for name in ("AES256", "aws:kms", "aws:kms:dsse")}),
        about="Encryption by the server: `AES256`, `aws:kms` or `aws:kms:dsse`.",
        walg="S3_SSE",
        also=("S3_SSE",),
        default="the bucket's",
    ),
    "s3_sse_kms_id": Row(
        parse=values.word,
        about="The KMS key for `aws:kms`.",
        walg="S3_SSE_KMS_ID",
        also=("S3_SSE_KMS_ID",),
        default="the account's",
    ),
    "s3_sse_c": Row(
        parse=store_values.key_of_32_bytes,
        about="Encryption by the server with a key of yours: 32 bytes, in base64 or as they are.",
        walg="S3_SSE_C",
        also=("S3_SSE_C",),
        default="not set",
        secret=True,
    ),
    "s3_retention_period": Row(
        parse=store_values.retention,
        about="How long object lock keeps what is written, such as `30d`; 0 is no lock.",
        walg="S3_RETENTION_PERIOD",
        also=("S3_RETENTION_PERIOD",),
        default="the bucket's",
        unit="s",
    ),
    "s3_retention_mode": Row(
        parse=values.choice({"governance": "GOVERNANCE", "compliance": "COMPLIANCE"}),
        about="Mode of the object lock: `GOVERNANCE` or `COMPLIANCE`.",
        walg="S3_RETENTION_MODE",
        also=("S3_RETENTION_MODE",),
    ),
    "s3_max_part_size": Row(
        parse=store_values.part_size,
        about="Size of an upload's parts, 5MiB to 5GiB; grows where 10,000 parts would not do.",
        walg="S3_MAX_PART_SIZE",
        also=("S3_MAX_PART_SIZE",),
    ),
    "s3_use_list_objects_v1": Row(
        parse=values.boolean,
        about="Whether to list with ListObjects, for servers that lack ListObjectsV2.",
        walg="S3_USE_LIST_OBJECTS_V1",
        also=("S3_USE_LIST_OBJECTS_V1",),
    ),
    "s3_delete_batch_size": Row(
        parse=values.integer(1, 1000),
        about="Objects in one request to delete, 1 to 1000.",
        walg="S3_DELETE_BATCH_SIZE",
        also=("S3_DELETE_BATCH_SIZE",),
    ),
    "s3_headers": Row(
        parse=store_values.headers,
        about="Headers to add to every request, a JSON object of strings.",
        walg="S3_REQUEST_ADDITIONAL_HEADERS",
        also=("S3_REQUEST_ADDITIONAL_HEADERS",),
        default="none",
        secret=True,
    ),
    "gcs_emulator": Row(
        parse=locations.emulator,
        about="An emulator to use instead of Google Cloud Storage: `host:port` or a URL.",
        also=("STORAGE_EMULATOR_HOST",),
        default="none",
    ),
    "gcs_credentials_file": Row(
        parse=values.path,
        about="Key file or workload identity configuration; without one the application default "
        "credentials.",
        walg="GOOGLE_APPLICATION_CREDENTIALS",
        also=("GOOGLE_APPLICATION_CREDENTIALS",),
        default="the SDK's chain",
    ),
    "gcs_encryption_key": Row(
        parse=store_values.key_in_base64,
        about="Encryption by the server with a key of yours: base64 of 32 bytes.",
        walg="GCS_ENCRYPTION_KEY",
        also=("GCS_ENCRYPTION_KEY",),
        default="not set",
        secret=True,
    ),
    "gcs_max_chunk_size": Row(
        parse=store_values.chunk_size,
        about="Size of an upload's chunks, a multiple of 256KiB (else rounded down).",
        walg="GCS_MAX_CHUNK_SIZE",
        also=("GCS_MAX_CHUNK_SIZE",),
    ),
    "gcs_normalize_prefix": Row(
        parse=values.boolean,
        about="Whether doubled slashes in the prefix count as one; false for "
        "`gs://bucket//prefix`, where WAL-E wrote.",
        walg="GCS_NORMALIZE_PREFIX",
        also=("GCS_NORMALIZE_PREFIX",),
    ),
    "upload_concurrency": Row(
        parse=values.integer(1, 256),
        about="Parts of large objects in flight, of all workers together, 1 to 256.",
        walg="UPLOAD_CONCURRENCY",
    ),
    "connect_timeout": Row(
        parse=values.duration,
        about="How long a connection to a store may take to open.",
        unit="s",
    ),
    "request_timeout": Row(
        parse=values.duration,
        about="How long a store may stay silent within a request.",
        unit="s",
    ),
    "retry_timeout": Row(
        parse=values.duration,
        about="How long an operation of a store is tried again before it fails.",
        unit="s",
    ),
    "max_retries": Row(
        parse=values.integer(0, 1000),
        about="How often an operation of a store is tried again, 0 to 1000.",
        walg="S3_MAX_RETRIES",
        also=(
            "S3_MAX_RETRIES",
            "WALG_GCS_MAX_RETRIES",
            "WALE_GCS_MAX_RETRIES",
            "GCS_MAX_RETRIES",
            "WALE_RETRIES",
        ),
    ),
    "https_proxy": Row(
        parse=store_values.proxy,
        about="A proxy that leads to `https://` stores: `http://host:port`.",
        also=("HTTPS_PROXY", "https_proxy"),
        default="none",
        secret=True,
    ),
    "no_proxy": Row(
        parse=store_values.hosts,
        about="Hosts and domains that are reached without the proxy, separated by commas.",
        also=("NO_PROXY", "no_proxy"),
        default="none",
    ),
}
"""Field name to row, in the order of the fields."""
