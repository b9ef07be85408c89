"""One client of an S3 server, measured from within: pitr's store, or boto3 as its manual has it.

`python -m bench.client pitr|boto3 WORK` does one piece of work in a process of its own and prints
what each step cost, without the start of the interpreter and the imports. CLIENT_SETTINGS leads it
to the server.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

CHUNK = 1 << 20
WORKERS = 4
SMALL = bytes(range(256)) * 256
SMALL_COUNT = 500
KEY_COUNT = 5000
MANY = [f"wal/{number:024X}" for number in range(KEY_COUNT)]
SEVERAL = [f"several-{number}" for number in range(WORKERS)]
VARIABLE = "CLIENT_SETTINGS"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the server is, what to send, and below which prefix the client may write."""

    endpoint: str
    region: str
    ca_file: str | None
    access_key: str
    secret_key: str
    bucket: str
    prefix: str
    source: str


class Client(Protocol):
    """What is compared; keys are below the settings' prefix."""

    def upload(self, key: str, path: str) -> None:
        """Put a file as a large object."""

    def download(self, key: str, path: str) -> None:
        """Get a large object into a file."""

    def put(self, key: str, data: bytes) -> None:
        """Put a small object."""

    def get(self, key: str) -> bytes:
        """Get a small object."""
        ...

    def keys(self) -> list[str]:
        """Every key that there is."""
        ...

    def delete(self, keys: list[str]) -> None:
        """Delete objects."""


class Ours:
    """pitr's store."""

    def __init__(self, settings: Settings) -> None:
        from backup_core.storage.options import S3Options, StoreOptions
        from backup_core.storage.registry import open_storage

        s3 = S3Options(
            endpoint=settings.endpoint,
            region=settings.region,
            access_key_id=settings.access_key,
            secret_access_key=settings.secret_key,
            ca_cert_file=Path(settings.ca_file) if settings.ca_file else None,
        )
        url = f"s3://{settings.bucket}/{settings.prefix}"
        self._storage = open_storage(url, StoreOptions(s3=s3))

    def upload(self, key: str, path: str) -> None:
        with Path(path).open("rb", buffering=0) as file:
            self._storage.put(key, iter(lambda: file.read(CHUNK), b""))

    def download(self, key: str, path: str) -> None:
        with Path(path).open("wb", buffering=0) as file:
            for chunk in self._storage.get(key):
                file.write(chunk)

    def put(self, key: str, data: bytes) -> None:
        self._storage.put(key, [data])

    def get(self, key: str) -> bytes:
        return b"".join(self._storage.get(key))

    def keys(self) -> list[str]:
        return [info.key for info in self._storage.list()]

    def delete(self, keys: list[str]) -> None:
        if any(self._storage.delete(keys).values()):
            raise RuntimeError("not everything was deleted")


class Boto3:
    """boto3's client and, for large objects, its transfer manager with default settings."""

    def __init__(self, settings: Settings) -> None:
        import boto3  # type: ignore[import-untyped]
        from botocore.config import Config

        self._client: Any = boto3.client(
            "s3",
            region_name=settings.region,
            endpoint_url=settings.endpoint,
            verify=settings.ca_file,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )
        self._bucket = settings.bucket
        self._prefix = f"{settings.prefix}/"

    def upload(self, key: str, path: str) -> None:
        with Path(path).open("rb") as file:
            self._client.upload_fileobj(file, self._bucket, self._prefix + key)

    def download(self, key: str, path: str) -> None:
        with Path(path).open("wb") as file:
            self._client.download_fileobj(self._bucket, self._prefix + key, file)

    def put(self, key: str, data: bytes) -> None:
        self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=data)

    def get(self, key: str) -> bytes:
        answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
        return bytes(answer["Body"].read())

    def keys(self) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self._bucket, Prefix=self._prefix)
        return [
            each["Key"].removeprefix(self._prefix) for page in found for each in page["Contents"]
        ]

    def delete(self, keys: list[str]) -> None:
        for start in range(0, len(keys), 1000):
            objects = [{"Key": self._prefix + key} for key in keys[start : start + 1000]]
            answer = self._client.delete_objects(
                Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True}
            )
            if answer.get("Errors"):
                raise RuntimeError("not everything was deleted")


CLIENTS: dict[str, Callable[[Settings], Client]] = {"pitr": Ours, "boto3": Boto3}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one step cost: seconds, and bytes of memory at its peak and before it."""

    wall: float
    cpu: float
    peak: int
    before: int


class Account:
    """The costs of the steps, by their names."""

    def __init__(self) -> None:
        self.costs: dict[str, Cost] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure what is done within."""
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = memory("VmHWM")
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.costs[name] = Cost(
            wall=time.perf_counter() - wall,
            cpu=time.process_time() - cpu,
            peak=memory("VmHWM"),
            before=before,
        )


def memory(name: str) -> int:
    """A field of this process's status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise KeyError(name)


def put_one(client: Client, settings: Settings, account: Account) -> None:
    """Put one large object."""
    with account.step("put"):
        client.upload("large", settings.source)


def get_one(client: Client, _: Settings, account: Account) -> None:
    """Get what put_one has put."""
    with account.step("get"):
        client.download("large", os.devnull)


def put_several(client: Client, settings: Settings, account: Account) -> None:
    """Put as many large objects at once as there are workers."""
    with account.step("put"), ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda key: client.upload(key, settings.source), SEVERAL))


def get_several(client: Client, _: Settings, account: Account) -> None:
    """Get what put_several has put."""
    with account.step("get"), ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda key: client.download(key, os.devnull), SEVERAL))


def small(client: Client, _: Settings, account: Account) -> None:
    """One small object after the other, there and back."""
    keys = [f"small/{number}" for number in range(SMALL_COUNT)]
    client.put(keys[0], SMALL)
    with account.step("put"):
        for key in keys:
            client.put(key, SMALL)
    with account.step("get"):
        for key in keys:
            client.get(key)
    client.delete(keys)


def fill(client: Client, _: Settings, account: Account) -> None:
    """Put as many empty objects as a large archive has segments."""
    with account.step("fill"), ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda key: client.put(key, b""), MANY))


def many(client: Client, _: Settings, account: Account) -> None:
    """List what fill has put, and delete it."""
    client.put("warm", SMALL)
    client.delete(["warm"])
    with account.step("list"):
        found = client.keys()
    if set(MANY) - set(found):
        raise RuntimeError(f"listed {len(found)} keys of {len(MANY)}")
    with account.step("delete"):
        client.delete(MANY)


WORKS: dict[str, Callable[[Client, Settings, Account], None]] = {
    "put-one": put_one,
    "get-one": get_one,
    "put-several": put_several,
    "get-several": get_several,
    "small": small,
    "fill": fill,
    "many": many,
}


def main() -> None:
    """Do the work that the command line names."""
    name, work = sys.argv[1:]
    settings = Settings(**json.loads(os.environ[VARIABLE]))
    account = Account()
    WORKS[work](CLIENTS[name](settings), settings, account)
    json.dump({step: asdict(cost) for step, cost in account.costs.items()}, sys.stdout)


if __name__ == "__main__":
    main()
