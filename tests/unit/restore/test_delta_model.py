"""Whatever happened to some files over a few backups, a restore gives the newest content.

The history is a model: for each backup, the pages of each file. A writer that works as WAL-G does
makes archives of it, which are read back through the same steps as a restore.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.repository.catalog import read_catalog
from backup_core.repository.chain import chain
from backup_core.repository.files_metadata import load_files_metadata, path_key
from backup_core.restore.increments import apply_increment
from backup_core.restore.layers import Action, LayerPlan, choose_tars, plan_layers
from backup_core.restore.tree import Place
from backup_core.storage.memory import MemoryStorage
from backup_core.stream.compress import decode
from backup_core.stream.tar import read_members
from tests.support.walg_archive import push
from tests.support.walg_backup import Stored, Style, WalgBackup, increment

PAGE = 16
NAMES = ("base/1/100", "base/1/100.1", "base/1/200")
Pages = tuple[int, ...]  # of each page what it is filled with; 0 is a page of zeros

PAGES = st.lists(st.integers(0, 3), max_size=5).map(tuple)
STATE = st.dictionaries(st.sampled_from(NAMES), PAGES)
CHOICE = st.fixed_dictionaries(
    {"whole": st.booleans(), "touched": st.booleans(), "more": st.sets(st.integers(0, 4))}
)
BACKUP = st.tuples(STATE, st.fixed_dictionaries(dict.fromkeys(NAMES, CHOICE)))
STYLE = st.builds(
    Style,
    method=st.sampled_from(["lz4", "none"]),
    composer=st.sampled_from(["regular", "rating", "database"]),
    files=st.sampled_from(["object", "sentinel"]),
    threshold=st.sampled_from([10, 1000]),
)


def content(pages: Pages) -> bytes:
    """A file of these pages."""
    return b"".join(bytes([fill]) * PAGE for fill in pages)


def store(old: Pages | None, new: Pages, choice: Mapping[str, object]) -> Stored:
    """What a backup holds of a file, given what its parent knew.

    An increment has the pages that changed or are new, and perhaps others. A file is stored whole
    where there is no older one, where it is empty, or where its pages are not understood.
    """
    more = choice["more"]
    assert isinstance(more, set)
    updates = len(more)
    if old == new and not choice["touched"]:
        return Stored(payload=None, skipped=True, updates=updates)
    if old is None or not new or choice["whole"]:
        return Stored(payload=content(new), updates=updates)
    blocks = [
        block
        for block, fill in enumerate(new)
        if block >= len(old) or old[block] != fill or block in more
    ]
    payload = increment(content(new), blocks, page_size=PAGE)
    return Stored(payload=payload, incremented=True, updates=updates)


def take(
    storage: MemoryStorage,
    history: Sequence[tuple[Mapping[str, Pages], Mapping[str, Mapping[str, object]]]],
    style: Style,
) -> WalgBackup:
    """Take a backup of each state, a delta on the one before; return the last."""
    parent: WalgBackup | None = None
    before: Mapping[str, Pages] = {}
    for number, (state, choices) in enumerate(history, 2):
        start = number * 0x1000000 + 0x28
        files = {
            name: store(before.get(name), pages, choices[name]) for name, pages in state.items()
        }
        parent = push(
            storage,
            WalgBackup(start_lsn=start, finish_lsn=start + 8, files=files, parent=parent),
            style,
        )
        before = state
    assert parent is not None
    return parent


def restore(storage: MemoryStorage, name: str, data_dir: Path) -> None:
    """Plan and carry out the restore of a chain, from the oldest backup to the newest."""
    catalog = read_catalog(storage)
    found = chain(catalog.named(name), {item.name: item for item in catalog.backups})
    plan = plan_layers(load_files_metadata(storage, backup) for backup in found)
    for layer in reversed(range(len(found))):
        folder = f"basebackups_005/{found[layer].name}/tar_partitions/"
        stored = [info.key.removeprefix(folder) for info in storage.list(folder)]
        written: set[str] = set()
        for tar in choose_tars(plan, layer, stored):
            written |= extract(storage, folder + tar, plan, layer, data_dir)
        for path in plan.vanished(layer, written):
            (data_dir / path).unlink()


def extract(
    storage: MemoryStorage, key: str, plan: LayerPlan, layer: int, data_dir: Path
) -> set[str]:
    """Do with each member of a partition what the plan says; return their paths."""
    written = set()
    extension = key.rpartition(".")[2] if not key.endswith(".tar") else ""
    for member, data in read_members(
        decode(storage.get(key), extension=extension, name=key), name=key
    ):
        place = data_dir / member.name.strip("/")
        action = plan.action(layer, member.name)
        if member.is_directory:
            place.mkdir(parents=True, exist_ok=True)
        elif action is Action.CREATE:
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as file:
                file.writelines(data)
        elif action is Action.APPLY:
            apply_increment(
                Place(root=data_dir, parts=tuple(member.name.strip("/").split("/"))),
                data,
                size=member.size,
                mode=member.mode,
                page_size=PAGE,
                name=member.name,
            )
        if action is not Action.IGNORE:
            written.add(path_key(member.name))
    return written


def restored(data_dir: Path) -> dict[str, bytes]:
    """Every file that was restored."""
    return {
        str(path.relative_to(data_dir)): path.read_bytes()
        for path in data_dir.rglob("*")
        if path.is_file()
    }


@settings(max_examples=150)
@given(history=st.lists(BACKUP, min_size=1, max_size=4), style=STYLE)
def test_a_restore_gives_the_newest_content(
    tmp_path_factory: pytest.TempPathFactory,
    history: Sequence[tuple[Mapping[str, Pages], Mapping[str, Mapping[str, object]]]],
    style: Style,
) -> None:
    """After growth, truncation, rewritten pages, pages of zeros, deletion and creation."""
    storage = MemoryStorage()
    data_dir = tmp_path_factory.mktemp("restore")
    newest = take(storage, history, style)
    restore(storage, newest.name, data_dir)
    assert restored(data_dir) == {name: content(pages) for name, pages in history[-1][0].items()}


PLAIN = {name: {"whole": False, "touched": False, "more": set[int]()} for name in NAMES}


@pytest.mark.parametrize("reverse", [False, True], ids=["whole page", "page in an old file"])
def test_d2_a_page_that_became_zeros_stays_zeros(tmp_path: Path, reverse: bool) -> None:
    """WAL-G's newest-first restore brings back what older backups have in its place."""
    before: Pages = (1, 2, 3)
    after: Pages = (1, 0, 3) if reverse else (0, 0, 0)
    storage = MemoryStorage()
    newest = take(storage, [({NAMES[0]: before}, PLAIN), ({NAMES[0]: after}, PLAIN)], Style())
    restore(storage, newest.name, tmp_path)
    assert restored(tmp_path) == {NAMES[0]: content(after)}


def test_d8_a_chain_by_an_early_version_is_merged(tmp_path: Path) -> None:
    """Its lists are in the sentinels; WAL-G since 3.0.8 writes its increments out as files."""
    history = [({NAMES[0]: (1, 2)}, PLAIN), ({NAMES[0]: (1, 3)}, PLAIN)]
    storage = MemoryStorage()
    newest = take(storage, history, Style(files="sentinel"))
    restore(storage, newest.name, tmp_path)
    assert restored(tmp_path) == {NAMES[0]: content((1, 3))}


def two_layers(new: Stored, old: Stored) -> tuple[MemoryStorage, str]:
    """A delta and its full backup, with one file."""
    storage = MemoryStorage()
    full = push(storage, WalgBackup(start_lsn=0x28, finish_lsn=0x30, files={NAMES[0]: old}))
    delta = WalgBackup(
        start_lsn=0x5000028, finish_lsn=0x5000030, files={NAMES[0]: new}, parent=full
    )
    return storage, push(storage, delta).name


def test_a_layer_with_one_block_left_out_is_refused(tmp_path: Path) -> None:
    """No other backup has it, and zeros would be a guess."""
    grown = Stored(
        payload=increment(content((1, 2, 3, 4)), [0, 2], page_size=PAGE), incremented=True
    )
    storage, name = two_layers(grown, Stored(payload=content((1, 2))))
    with pytest.raises(CorruptError, match="block 3 of"):
        restore(storage, name, tmp_path)


@pytest.mark.parametrize("skipped", [True, False])
def test_a_file_that_vanished_from_the_full_backup_is_not_made_up(
    tmp_path: Path, skipped: bool
) -> None:
    """It was listed and then removed; the delta relies on it all the same."""
    payload = None if skipped else increment(content((1, 2)), [1], page_size=PAGE)
    new = Stored(payload=payload, skipped=skipped, incremented=not skipped)
    storage, name = two_layers(new, Stored(payload=None))
    with pytest.raises(CorruptError, match=f'lacks 1 files .* "{NAMES[0]}"'):
        restore(storage, name, tmp_path)


def test_a_file_that_vanished_from_the_delta_is_absent(tmp_path: Path) -> None:
    """Though the full backup has it."""
    storage, name = two_layers(
        Stored(payload=None, incremented=True), Stored(payload=content((1,)))
    )
    restore(storage, name, tmp_path)
    assert restored(tmp_path) == {}


def test_a_file_that_only_begins_like_an_increment_is_a_file(tmp_path: Path) -> None:
    """The list tells, not the content."""
    storage, name = two_layers(Stored(payload=b"wi1U and more"), Stored(payload=b"old"))
    restore(storage, name, tmp_path)
    assert restored(tmp_path) == {NAMES[0]: b"wi1U and more"}
