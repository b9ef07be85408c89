"""S3 over TLS: the authority that is trusted, and the proxy that leads there."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.certificates import Certificate, make_certificate
from tests.support.fixtures import Pitr
from tests.support.seaweed import SeaweedFS, seaweed
from tests.support.segments import FIRST, segment, wal_file
from tests.support.tunnel import PASSWORD, USER, Tunnel, tunnel


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """The server's, by an authority of its own."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, certificate: Certificate
) -> Iterator[SeaweedFS]:
    """A server that speaks TLS only."""
    with seaweed(tmp_path_factory.mktemp("seaweed"), tls=certificate) as running:
        yield running


@pytest.fixture
def environ(server: SeaweedFS, tmp_path: Path) -> dict[str, str]:
    """Settings that lead to a prefix of its bucket."""
    return server.environ | {
        "WALG_S3_PREFIX": f"s3://{server.bucket}/{tmp_path.name}",
        "PITR_RETRY_TIMEOUT": "2s",
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A segment to archive."""
    return wal_file(tmp_path, FIRST, segment(FIRST))


@pytest.fixture
def proxy() -> Iterator[Tunnel]:
    """The way out."""
    with tunnel() as running:
        yield running


def test_a_trusted_authority_is_enough(pitr: Pitr, environ: dict[str, str], path: Path) -> None:
    """What is archived comes back, over TLS."""
    pitr("wal-push", path, env=environ)
    pitr("wal-fetch", FIRST, path.with_name("fetched"), env=environ)
    assert path.with_name("fetched").read_bytes() == path.read_bytes()


def test_an_unknown_authority_is_refused_at_once(
    pitr: Pitr, environ: dict[str, str], path: Path
) -> None:
    """No retry helps, and the setting that does is named."""
    del environ["WALG_S3_CA_CERT_FILE"]
    done = pitr("wal-push", path, env=environ, check=False)
    assert done.returncode == 7
    assert "is not trusted" in done.stderr
    assert "WALG_S3_CA_CERT_FILE" in done.stderr
    assert "again_in" not in done.stderr


def test_a_proxy_leads_to_the_store(
    pitr: Pitr, environ: dict[str, str], path: Path, proxy: Tunnel, server: SeaweedFS
) -> None:
    """The tunnel carries TLS to the store itself; a password with odd letters opens it."""
    address = f"http://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{proxy.port}"
    pitr("wal-push", path, env=environ | {"HTTPS_PROXY": address})
    assert set(proxy.opened) == {f"127.0.0.1:{server.port}"}


def test_a_proxy_that_refuses_is_said(
    pitr: Pitr, environ: dict[str, str], path: Path, proxy: Tunnel
) -> None:
    """Nothing is archived past it."""
    environ["HTTPS_PROXY"] = f"http://127.0.0.1:{proxy.port}"
    done = pitr("wal-push", path, env=environ, check=False)
    assert done.returncode == 7
    assert "407" in done.stderr
    assert proxy.opened == []


def test_exceptions_are_reached_without_the_proxy(
    pitr: Pitr, environ: dict[str, str], path: Path, proxy: Tunnel
) -> None:
    """NO_PROXY names hosts, as everywhere."""
    environ |= {
        "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
        "NO_PROXY": "example.com,127.0.0.1",
    }
    pitr("wal-push", path, env=environ)
    assert proxy.opened == []


@pytest.mark.parametrize(
    ("change", "words"),
    [("http", "HTTP request to an HTTPS server"), ("https", "does not speak TLS")],
)
def test_a_wrong_scheme_of_the_endpoint_is_said(
    pitr: Pitr,
    environ: dict[str, str],
    path: Path,
    tmp_path: Path,
    change: str,
    words: str,
) -> None:
    """http:// to a TLS server, and https:// to one without."""
    if change == "http":
        environ["AWS_ENDPOINT"] = environ["AWS_ENDPOINT"].replace("https:", "http:")
        done = pitr("wal-push", path, env=environ, check=False)
    else:
        with seaweed(tmp_path / "plain") as plain:
            environ["AWS_ENDPOINT"] = plain.url.replace("http:", "https:")
            done = pitr("wal-push", path, env=environ, check=False)
    assert done.returncode == 7
    assert words in done.stderr
