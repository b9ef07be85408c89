"""Every parser of foreign bytes holds against a fuzzer that watches which code it reaches."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.seeds import SEEDS
from tests.fuzz.targets import TARGETS

SECONDS = 4
# A program begins with the peak memory of the one that forked it, and libFuzzer judges by the peak:
# between a test process that has grown and the fuzzer stands a shell.
OWN_MEMORY = ("sh", "-c", '"$@"; exit $?', "sh")


def test_every_target_has_a_seed() -> None:
    """Without one the fuzzer would hardly get past the magic."""
    assert SEEDS.keys() == TARGETS.keys()


@pytest.mark.parametrize("target", sorted(SEEDS))
def test_each_seed_is_valid(target: str) -> None:
    """The parser takes it: nothing is raised, not even an error of ours."""
    if target != "segment-header":  # a seed of it is only the beginning
        TARGETS[target](SEEDS[target]())


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_nothing_but_our_errors_comes_out(target: str, tmp_path: Path) -> None:
    """Within seconds and half a gigabyte an input; a finding is written to the output."""
    limits = [f"-max_total_time={SECONDS}", "-timeout=5", "-rss_limit_mb=512", "-max_len=20000"]
    done = subprocess.run(
        [
            *OWN_MEMORY,
            sys.executable,
            "-m",
            "tests.fuzz",
            target,
            str(tmp_path / "corpus"),
            *limits,
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Done " in done.stderr
