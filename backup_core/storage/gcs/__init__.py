"""Google Cloud Storage, by its JSON API."""

from backup_core.storage.gcs.store import GcsStorage

__all__ = ["GcsStorage"]
