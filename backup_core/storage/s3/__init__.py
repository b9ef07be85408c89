"""S3 and what speaks like it: AWS, SeaweedFS, MinIO, Ceph and others."""

from backup_core.storage.s3.store import S3Storage

__all__ = ["S3Storage"]
