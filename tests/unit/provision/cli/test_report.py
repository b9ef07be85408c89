"""`provision report`: every cluster is on the page, also the one that nobody answers for."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from textwrap import dedent

import pytest

from backup_core.report.document import render
from backup_core.report.model import Broken
from provision.cli.fleet import Member
from provision.cli.main import main
from provision.cli.report import candidates_of, pages_of, read_files
from provision.compile import catalog_of, node_of
from provision.errors import InputError
from provision.fleet_page import headline, in_order
from provision.operations.place import place_of
from provision.operations.report import ClusterReport, parse_answer, words_of
from provision.project import choose, configure
from provision.selection import Selectors
from tests.support.reports import DAY, EMPTY, REPORT, WHOLE
from tests.unit.provision.projects import project

SHOP = ClusterReport(name="shop", source="db1", report=WHOLE)
BILLING = ClusterReport(name="billing", source="db2", report=REPORT)
LOST = ClusterReport(name="search", source="db3", report=EMPTY)
SILENT = ClusterReport(name="crm", source="db4", problem="db4: no connection within 10 s")
BROKEN = replace(
    SHOP,
    name="wiki",
    report=replace(WHOLE, broken=(Broken(promise="recovery_window", message="too short"),)),
)
ROLES = {
    "inventory": """
        defaults: {user: admin}
        groups:
          main:
            hosts: [a-late, db1]
            cluster: main
        hosts:
          a-late: {address: 192.0.2.1, run_list: ["role[late]"]}
          db1: {address: 192.0.2.2, run_list: ["role[base]"]}
          other: {address: 192.0.2.3, run_list: ["role[base]"]}
    """,
    "base": """
        run_list:
          - recipe[pitr::archiving]
          - recipe[pitr::base_backup]
          - recipe[pitr::retention]
        default_attributes:
          postgresql: {version: 15}
          pitr:
            repository: file:///srv/backup
            retention: {enabled: true, keep_full: 5}
    """,
    "late": """
        run_list: ["recipe[pitr::archiving]", "recipe[pitr::recovery]"]
        default_attributes:
          postgresql: {version: 15}
          pitr:
            repository: file:///srv/backup
            archive: {enabled: false}
            recovery: {mode: delayed, delay: 8h}
    """,
}


class Texts(HTMLParser):
    """The texts of a page, and where its links lead."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


def members() -> tuple[Member, ...]:
    """The hosts of the roles above."""
    found = project(**ROLES)
    hosts = choose(found, Selectors())
    configured = [configure(found, host) for host in hosts]
    nodes = [node_of(each) for each in configured]
    return tuple(
        Member(configured=each, node=node, catalog=catalog_of(node))
        for each, node in zip(configured, nodes, strict=True)
    )


def test_the_host_that_takes_backups_is_asked_first() -> None:
    """And the others of its cluster after it; a host without a cluster is one."""
    found = candidates_of(members())
    assert {name: [each.host.name for each in found[name]] for name in found} == {
        "main": ["db1", "a-late"],
        "other": ["other"],
    }


def test_the_retention_of_the_roles_is_asked_for() -> None:
    """So that the page says what the host's own job removes next."""
    late, db1, _ = (words_of(place_of(member.node)) for member in members())
    assert db1[1:5] == ("report", "--json", "--retain", "FULL 5")
    assert "--retain" not in late


@pytest.mark.parametrize("status", [0, 10])
def test_an_answer_may_begin_with_log_lines(status: int) -> None:
    """And a broken promise is an answer."""
    said = f"2026 WARNING pitr.report: msg=x\n{render(REPORT)}\n"
    assert parse_answer("shop", "db1", status, said).report == REPORT


@pytest.mark.parametrize(
    ("status", "said", "problem"),
    [
        (2, 'pitr: error: there is no command "report"\nhint: Update.', "there is no command"),
        (7, "some log\npitr report: error: the store is down\nhint: x", "the store is down"),
        (124, "", "ended with exit code 124"),
        (0, "{\n}", "is not a report"),
        (0, "nothing", "nothing"),
    ],
)
def test_what_is_no_answer_is_a_problem(status: int, said: str, problem: str) -> None:
    """In the engine's own words where it has some."""
    found = parse_answer("shop", "db1", status, said)
    assert found.report is None
    assert problem in found.problem


@pytest.mark.parametrize(
    ("clusters", "sentence"),
    [
        ([], "There is no cluster."),
        ([SHOP, BILLING], "Every cluster can be recovered."),
        (
            [SHOP, LOST, SILENT, BROKEN],
            (
                "2 of 4 clusters can be recovered; 1 cannot; 1 could not be asked; "
                "1 promise is broken."
            ),
        ),
    ],
)
def test_the_sentence_counts_the_clusters(clusters: list[ClusterReport], sentence: str) -> None:
    """One that could not be asked is not taken for a good one."""
    assert headline(clusters) == sentence


def test_the_worst_comes_first() -> None:
    """By name within a level."""
    found = in_order([SHOP, BILLING, LOST, SILENT])
    assert [each.name for each in found] == ["crm", "search", "billing", "shop"]


def test_a_file_gets_all_and_a_directory_a_page_each(tmp_path: Path) -> None:
    """The index of a directory links to each, whatever a cluster is called."""
    clusters = [SHOP, replace(LOST, name="../Shop?"), replace(SILENT, name="index"), SILENT]
    alone = pages_of(clusters, WHOLE.made, tmp_path / "fleet.html")
    assert list(alone) == [tmp_path / "fleet.html"]
    pages = pages_of(clusters, WHOLE.made, tmp_path)
    names = {path.name for path in pages}
    assert names == {"index.html", "shop.html", "shop-2.html", "index-2.html", "crm.html"}
    assert {path.parent for path in pages} == {tmp_path}
    assert set(Texts(pages[tmp_path / "index.html"]).links) == names - {"index.html"}


def test_files_are_drawn_without_asking_anybody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And without a project."""
    for name, report in (("shop", WHOLE), ("search", EMPTY)):
        (tmp_path / f"{name}.json").write_text(render(report))
    files = [str(tmp_path / f"{name}.json") for name in ("shop", "search")]
    assert main(["report", "-o", str(tmp_path / "fleet.html"), *files]) == 0
    page = Texts((tmp_path / "fleet.html").read_text())
    assert "1 of 2 clusters can be recovered; 1 cannot." in page.text
    out = capsys.readouterr().out
    assert "shop: recoverable: any moment from 2026-11-22 03:30:00" in out
    assert "search: the repository holds no backup: nothing can be recovered" in out


def test_a_file_that_is_no_report_is_named(tmp_path: Path) -> None:
    """An engineer gave it, so it is an error and no row."""
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(InputError, match=r"x\.json is not a report"):
        read_files([tmp_path / "x.json"])
    with pytest.raises(InputError, match="cannot read"):
        read_files([tmp_path / "y.json"])


def test_a_host_that_is_not_there_is_on_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page is written, and the exit code is that of an unreachable host."""
    roles = tmp_path / "roles"
    roles.mkdir()
    (roles / "base.yml").write_text(dedent(ROLES["base"]))
    (roles / "inventory.yml").write_text(
        dedent("""
            hosts:
              db1: {address: 127.0.0.1, port: 1, user: x, run_list: ["role[base]"]}
        """)
    )
    page = tmp_path / "fleet.html"
    assert main(["report", "-o", str(page), "--project", str(tmp_path)]) == 4
    text = Texts(page.read_text()).text
    assert "0 of 1 cluster can be recovered; 1 could not be asked." in text
    assert "127.0.0.1" in text
    out = capsys.readouterr().out
    assert out.startswith("! db1: ")
    assert "db1: not known: " in out


def test_ages_are_counted_to_the_page_and_not_to_each_report(tmp_path: Path) -> None:
    """A file of yesterday does not look like now."""
    page = pages_of([SHOP], WHOLE.made + DAY, tmp_path / "x.html")[tmp_path / "x.html"]
    assert "1 d ago" in page
