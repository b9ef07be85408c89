"""Fuzz one parser: python -m tests.fuzz TARGET CORPUS [libFuzzer's options].

CORPUS is a directory for what was found to be interesting; it begins with a valid input.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["backup_core"]):
    from tests.fuzz.seeds import SEEDS
    from tests.fuzz.targets import survives


def main() -> None:
    """Seed the corpus and fuzz until libFuzzer's limits, or a finding, end it."""
    if len(sys.argv) < 3 or sys.argv[1] not in SEEDS:
        sys.exit(f"{__doc__}\nTARGET is one of: {', '.join(SEEDS)}")
    target, corpus = sys.argv[1], Path(sys.argv[2])
    corpus.mkdir(parents=True, exist_ok=True)
    (corpus / "seed").write_bytes(SEEDS[target]())
    atheris.Setup([sys.argv[0], *sys.argv[2:]], lambda data: survives(target, data))
    atheris.Fuzz()


main()
