"""The page is what it should be where it is looked at: in a real browser."""

import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backup_core.report.model import Trouble
from backup_core.report.page import render_page
from provision.fleet_page import fleet_page
from provision.operations.report import ClusterReport
from tests.support.chromium import Browser, Page, chromium
from tests.support.reports import EMPTY, REPORT, WHOLE, backup

HOSTILE = (
    "</title></style><script>document.title='run'</script><img src=x onerror=alert(1)>\"'\u202e"
)
TROUBLE = Trouble(name=HOSTILE, reason=HOSTILE)
MANY = replace(
    REPORT,
    backups=tuple(backup(day // 3, delta_from="x" if day % 3 else None) for day in range(1000)),
)
ATTACKED = replace(
    REPORT,
    repository=HOSTILE,
    unusable=(TROUBLE,),
    unfinished=(HOSTILE,),
    backups=(backup(0, name=HOSTILE, hostname=HOSTILE, user_data=HOSTILE),),
    drills=tuple(
        replace(each, drill=HOSTILE, error=HOSTILE, failed_phase=HOSTILE, succeeded=False)
        for each in REPORT.drills
    ),
)
CONTRAST = """
(() => {
  const parts = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = text => parts(text).map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [.2126, .7152, .0722][at], 0);
  const ground = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (colour != 'rgba(0, 0, 0, 0)') return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const faint = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const words = texts.currentNode.data.trim();
    if (!words || element.closest('svg') || !element.checkVisibility()) continue;
    const [one, two] = [light(getComputedStyle(element).color), light(ground(element))];
    const ratio = (Math.max(one, two) + .05) / (Math.min(one, two) + .05);
    if (ratio < 4.5) faint.push([words, ratio]);
  }
  return faint;
})()
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests here."""
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of its own."""
    found = browser.page()
    yield found
    found.close()


def written(directory: Path, text: str) -> Path:
    path = directory / "page.html"
    path.write_text(text, encoding="utf-8")
    return path


def fleet() -> str:
    """Two clusters, and one that could not be asked."""
    clusters = [
        ClusterReport(name="shop", source="db1", report=WHOLE),
        ClusterReport(name="search", source="db2", report=EMPTY),
        ClusterReport(name=HOSTILE, source=HOSTILE, problem=HOSTILE),
    ]
    return fleet_page(clusters, WHOLE.made)


PAGES = {
    "gap": lambda: render_page(REPORT),
    "whole": lambda: render_page(WHOLE),
    "empty": lambda: render_page(EMPTY),
    "many": lambda: render_page(MANY),
    "attacked": lambda: render_page(ATTACKED),
    "fleet": fleet,
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [1440, 360])
def test_a_page_stands_alone(page: Page, tmp_path: Path, name: str, width: int) -> None:
    """No message on the console, no request but the file, and nothing wider than the window."""
    path = written(tmp_path, PAGES[name]())
    page.open(path, width=width)
    assert page.problems == []
    assert page.requests == [path.as_uri()]
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.value("document.querySelectorAll('h1').length") == 1


@pytest.mark.parametrize("name", ["attacked", "fleet"])
def test_no_name_becomes_markup(page: Page, tmp_path: Path, name: str) -> None:
    """Whatever backups, hosts and clusters are called, and whatever was noted of them."""
    page.open(written(tmp_path, PAGES[name]()))
    assert page.value("document.querySelectorAll('script, img, iframe, object').length") == 0
    assert page.value("document.title").startswith("Recovery report")
    assert "<script>" in page.value("document.body.innerText")
    assert "\u202e" not in page.value("document.documentElement.outerHTML")


def test_what_would_run_is_not_let_run(page: Page, tmp_path: Path) -> None:
    """The page's own policy is the second wall: here the first is torn down."""
    torn = render_page(WHOLE).replace("</body>", "<script>document.title='run'</script></body>")
    page.open(written(tmp_path, torn))
    assert page.value("document.title") != "run"
    assert "Content Security Policy" in "".join(page.problems)


def test_the_sentence_says_what_can_be_recovered(page: Page, tmp_path: Path) -> None:
    """And is red if nothing can."""
    page.open(written(tmp_path, render_page(WHOLE)))
    assert page.value("document.querySelector('h1').innerText") == (
        "Any moment from 22 Nov 2026, 03:30:00 to 30 Nov 2026, 11:45:36 UTC can be recovered."
    )
    ink = page.value("getComputedStyle(document.querySelector('h1')).color")
    page.open(written(tmp_path, render_page(EMPTY)))
    assert page.value("document.querySelector('h1').innerText") == "Nothing can be recovered."
    assert page.value("getComputedStyle(document.querySelector('h1')).color") != ink


def test_gaps_are_drawn_and_named(page: Page, tmp_path: Path) -> None:
    """Hatched as well as red, with the segments in the title and in a table."""
    page.open(written(tmp_path, render_page(REPORT)))
    titles = "[...document.querySelectorAll('.lane rect.gap title')].map(each => each.textContent)"
    missing = "000000020000000000000008"
    assert page.value(titles) == [f"1 WAL segment missing: {missing} to {missing}"]
    assert "url" in page.value("getComputedStyle(document.querySelector('rect.lost')).fill")
    assert missing in page.value("document.querySelector('main').innerText")


def test_everything_that_opens_is_reached_by_the_keyboard(page: Page, tmp_path: Path) -> None:
    """Tab leads to each summary, link and table that may scroll, in their order."""
    page.open(written(tmp_path, render_page(MANY)))
    wanted = page.value(
        "[...document.querySelectorAll('summary, a, [tabindex]')]"
        ".filter(each => each.checkVisibility()).length"
    )
    seen = set()
    for _ in range(wanted):
        for kind in ("rawKeyDown", "keyUp"):
            page.call(
                "Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9
            )
        seen.add(page.value("document.activeElement.outerHTML.slice(0, 150) + Math.random()"))
        assert page.value("document.activeElement !== document.body")
    assert len(seen) == wanted > 5


@pytest.mark.parametrize(
    "nameless",
    [
        "svg:not([aria-label], [aria-hidden], svg[aria-label] svg)",
        "table:not(:has(caption))",
        "section:not(:has(h2))",
        "figure rect:not(:has(title), .legend rect)",
        "td:not([data-head]), th:not([scope])",
    ],
)
def test_everything_has_a_name(page: Page, tmp_path: Path, nameless: str) -> None:
    """For those who do not see it: drawings, tables, bars and cells."""
    page.open(written(tmp_path, render_page(REPORT)))
    assert page.value(f"document.querySelectorAll('{nameless}').length") == 0


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", ["gap", "empty", "fleet"])
def test_texts_stand_out_from_their_ground(
    page: Page, tmp_path: Path, name: str, dark: bool
) -> None:
    """By 4.5 to 1, by day and by night."""
    page.open(written(tmp_path, PAGES[name]()), dark=dark)
    assert page.value(CONTRAST) == []


def test_the_page_is_dark_by_night(page: Page, tmp_path: Path) -> None:
    """A picture of each, to see that something is drawn."""
    path = written(tmp_path, render_page(REPORT))
    grounds = []
    for dark in (False, True):
        page.open(path, dark=dark)
        grounds.append(page.value("getComputedStyle(document.body).backgroundColor"))
        picture = tmp_path / f"{dark}.png"
        page.screenshot(picture)
        assert different_colours(picture) > 100
    assert grounds == ["rgb(247, 246, 243)", "rgb(17, 21, 27)"]


def different_colours(picture: Path) -> int:
    """About how many different rows of pixels a PNG has: one, if nothing is drawn."""
    data = picture.read_bytes()
    width = int.from_bytes(data[16:20])
    pixels, at = b"", 8
    while at < len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        pixels += data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    raw = zlib.decompress(pixels)
    row = width * (4 if data[25] == 6 else 3) + 1
    return len({raw[start : start + row] for start in range(0, len(raw), row)})


def test_it_prints_on_paper(page: Page, tmp_path: Path) -> None:
    """Light also by night, in a few pages."""
    page.open(written(tmp_path, render_page(MANY)), dark=True)
    page.print_to(tmp_path / "page.pdf")
    printed = (tmp_path / "page.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert 2 <= printed.count(b"/Type /Page\n") <= 8
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_a_link_to_a_cluster_opens_it(page: Page, tmp_path: Path) -> None:
    """On the fleet's page, where each is closed at first."""
    page.open(written(tmp_path, fleet()))
    assert page.value("document.querySelectorAll('details.cluster[open]').length") == 0
    page.value("[...document.querySelectorAll('a')].find(e => e.innerText == 'shop').click()")
    opened = "document.querySelector('details.cluster[open] > summary strong').innerText"
    assert page.value(opened) == "shop"


def test_a_report_of_a_thousand_backups_stays_small(tmp_path: Path) -> None:
    """It is sent by mail, too."""
    assert len(render_page(MANY)) < 1_500_000
