"""The store beside boto3, process beside process, on one SeaweedFS."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from bench.client import CLIENTS, KEY_COUNT, SMALL, SMALL_COUNT, VARIABLE, WORKERS, Settings
from bench.measure import Sample
from bench.programs import CHECKOUT
from bench.works import Say, Series
from tests.support.environment import clean_environ
from tests.support.seaweed import REGION, SeaweedFS

MIB = 1 << 20
ONE_SIZE = 1 << 30
SEVERAL_SIZE = 128 << 20
BUCKET_PREFIX = "clients"


class Clients:
    """Runs a client's work in a process of its own; everything is below `base`."""

    def __init__(self, server: SeaweedFS, base: Path, *, runs: int, say: Say) -> None:
        self._server = server
        self._base = base
        self._runs = runs
        self._say = say

    def large(self) -> list[Series]:
        """One object of a GiB, and several at once, there and back."""
        return [
            *self._there_and_back("one", ONE_SIZE, f"of {ONE_SIZE >> 20} MiB", 1),
            *self._there_and_back(
                "several", SEVERAL_SIZE, f"of {WORKERS} times {SEVERAL_SIZE >> 20} MiB", WORKERS
            ),
        ]

    def small(self) -> list[Series]:
        """Many small objects, one request after the other."""
        described = {
            "put": (f"put {SMALL_COUNT} of {len(SMALL) >> 10} KiB", SMALL_COUNT),
            "get": (f"get {SMALL_COUNT} of {len(SMALL) >> 10} KiB", SMALL_COUNT),
            "list": (f"list {KEY_COUNT} keys", KEY_COUNT),
            "delete": (f"delete {KEY_COUNT} keys", KEY_COUNT),
        }
        found = {
            step: Series(work=work, data="S3", size=count, objects=True)
            for step, (work, count) in described.items()
        }
        for _ in range(self._runs):
            for name in CLIENTS:
                self._client("pitr", "fill", self._base, prefix=name)
                costs = self._client(name, "small", self._base)
                costs |= self._client(name, "many", self._base)
                for step, sample in costs.items():
                    found[step].add(name, sample, self._say)
        return list(found.values())

    def _there_and_back(self, which: str, size: int, words: str, count: int) -> list[Series]:
        source = self._base / "object"
        _fill(source, size)
        put = Series(work=f"put {words}", data="S3", size=size * count)
        get = Series(work=f"get {words}", data="S3", size=size * count)
        for _ in range(self._runs):
            for series, step in ((put, "put"), (get, "get")):
                for name in CLIENTS:
                    sample = self._client(name, f"{step}-{which}", source)[step]
                    series.add(name, sample, self._say)
        source.unlink()
        return [put, get]

    def _client(
        self, name: str, work: str, source: Path, *, prefix: str | None = None
    ) -> dict[str, Sample]:
        os.sync()
        done = subprocess.run(
            [sys.executable, "-m", "bench.client", name, work],
            cwd=CHECKOUT,
            env=clean_environ()
            | {VARIABLE: json.dumps(asdict(self._settings(prefix or name, source)))},
            stdout=subprocess.PIPE,
            check=True,
        )
        return {step: _sample(cost) for step, cost in json.loads(done.stdout).items()}

    def _settings(self, prefix: str, source: Path) -> Settings:
        server = self._server
        return Settings(
            endpoint=server.url,
            region=REGION,
            ca_file=server.environ.get("WALG_S3_CA_CERT_FILE"),
            access_key=server.access_key,
            secret_key=server.secret_key,
            bucket=server.bucket,
            prefix=f"{BUCKET_PREFIX}/{prefix}",
            source=str(source),
        )


def _sample(cost: Mapping[str, float]) -> Sample:
    peak, before = int(cost["peak"]), int(cost["before"])
    return Sample(wall=cost["wall"], cpu=cost["cpu"], largest=peak, tree=peak - before)


def _fill(path: Path, size: int) -> None:
    """Write bytes that nothing can compress."""
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
