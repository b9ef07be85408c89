"""The demo itself, on little data: what a newcomer runs first must work from each store."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.demo_stores import STORES
from tests.support.cache import cache_dir
from tests.support.environment import clean_environ

ROOT = Path(__file__).parents[2]
SMALL = {"SCALE": "1", "LOAD_SECONDS": "2"}


def run_demo(scratch: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end with `scratch` for everything that it makes; downloads are shared."""
    variables["PITR_TEST_CACHE"] = str(cache_dir())
    return subprocess.run(
        [sys.executable, "-m", "tests.e2e.demo"],
        cwd=ROOT,
        env=clean_environ() | SMALL | {"TMPDIR": str(scratch)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("store", STORES)
def test_the_demo_brings_everything_back(store: str, tmp_path: Path) -> None:
    """It says so, tells what the store holds, and leaves nothing behind."""
    done = run_demo(tmp_path, STORE=store)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{store}://" in done.stdout
    assert " objects, " in done.stdout
    assert "everything came back" in done.stdout
    assert not list(tmp_path.iterdir())


def test_an_unknown_store_is_refused(tmp_path: Path) -> None:
    """The message names the stores that there are, and nothing was made."""
    done = run_demo(tmp_path, STORE="tape")
    assert done.returncode == 2
    assert "there is no STORE=tape; the stores are file, s3" in done.stderr
    assert not list(tmp_path.iterdir())
