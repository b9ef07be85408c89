"""The house rules that a program can check; the layers are import-linter's (setup.cfg)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    path for name in ("backup_core", "provision") for path in ROOT.glob(f"{name}/**/*.py")
)

# In each package; a library that both use has a home in each.
HOMES_OF_LIBRARIES = {
    "backup_core": {
        "psycopg": "postgres/server.py",
        "numpy": "postgres/page_numpy.py",
        "backports": "stream/compress.py",
        "rich": "cli/output.py",
        "botocore": "storage/s3/credentials.py",
        "google": "storage/gcs/credentials.py",
        "google_crc32c": "storage/checksum.py",
        "blake3": "stream/digest.py",
        "lz4": "stream/codecs/lz4.py",
        "brotli": "stream/codecs/brotli.py",
        "lzallright": "stream/codecs/lzop.py",
        "cryptography": "stream/encrypt/primitives.py",
        "nacl": "stream/encrypt/libsodium.py",
        "prometheus_client": "monitor/exposition.py",
    },
    "provision": {
        "cryptography": "secrets/crypto.py",
        "fabric": "transport/connection.py",
        "jinja2": "templates.py",
        "rich": "cli/live.py",
        "yaml": "source.py",
    },
}
HOME_OF_ENVIRONMENT = {"backup_core": "cli/options.py", "provision": "cli/main.py"}
LONGEST_FILE = 400
LONGEST_FUNCTION = 70


def package_of(path: Path) -> str:
    """The package that a module belongs to."""
    return path.relative_to(ROOT).parts[0]


def named(path: Path) -> str:
    """The module's path within its package."""
    return path.relative_to(ROOT / package_of(path)).as_posix()


def full_name(path: Path) -> str:
    """The module's path within the project."""
    return path.relative_to(ROOT).as_posix()


def imported(tree: ast.AST) -> Iterator[str]:
    """The top-level names of all that a module imports, wherever it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=full_name)
def test_each_third_party_library_is_imported_in_one_module(path: Path) -> None:
    """Its exceptions are translated there, so replacing it touches one file."""
    homes = HOMES_OF_LIBRARIES[package_of(path)]
    strangers = {
        name
        for name in imported(ast.parse(path.read_text()))
        if homes.get(name, named(path)) != named(path)
    }
    assert not strangers


@pytest.mark.parametrize("path", MODULES, ids=full_name)
def test_the_environment_is_read_in_one_place(path: Path) -> None:
    """Every other function gets what it needs as arguments."""
    reads = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb")
    }
    assert not reads or named(path) == HOME_OF_ENVIRONMENT[package_of(path)]


@pytest.mark.parametrize("path", MODULES, ids=full_name)
def test_files_and_functions_stay_short(path: Path) -> None:
    """A reader holds a file, and certainly a function, in mind."""
    text = path.read_text()
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    long = [
        node.name for node in functions if (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]
    assert not long
    assert text.count("\n") <= LONGEST_FILE


@pytest.mark.parametrize("path", MODULES, ids=full_name)
def test_everything_public_is_described(path: Path) -> None:
    """Modules, and the classes and functions they offer, have docstrings."""
    tree = ast.parse(path.read_text())
    public = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    bare = [node.name for node in public if not ast.get_docstring(node)]
    assert ast.get_docstring(tree)
    assert not bare
