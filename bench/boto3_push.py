"""What `pitr wal-push` does to S3, by boto3: read a segment, compress it, put it if it is new.

Run as `python bench/boto3_push.py BUCKET SEGMENT`, led to the server by the SDK's own variables.
"""

import sys
from pathlib import Path

import boto3  # type: ignore[import-untyped]
from backports import zstd
from botocore.config import Config

LEVEL = 3

bucket, path = sys.argv[1:]
boto3.client("s3", config=Config(s3={"addressing_style": "path"})).put_object(
    Bucket=bucket,
    Key=f"by-boto3/{Path(path).name}.zst",
    Body=zstd.compress(Path(path).read_bytes(), LEVEL),
    IfNoneMatch="*",
)
