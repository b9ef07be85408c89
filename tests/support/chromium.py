"""A real Chromium, driven over its debugging pipe: what a page is, and what it looks like.

The pipe needs nothing but two descriptors; a websocket would need a library. Every message of the
page's console and every request it makes is kept, so that a test can say that there was none.
"""

import json
import os
import subprocess
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from typing import Any

from tests.support.environment import clean_environ
from tests.support.processes import kill_tree

SECONDS = 120.0
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe"),
)


@dataclass
class Page:
    """A tab; `problems` are its console's messages and exceptions, `requests` their addresses."""

    browser: "Browser"
    target: str
    session: str
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    loaded: bool = False

    def close(self) -> None:
        """Close the tab."""
        self.browser.call("Target.closeTarget", targetId=self.target)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol in this tab."""
        return self.browser.call(method, self.session, **parameters)

    def open(self, path: Path, *, dark: bool = False, width: int = 1440, height: int = 900) -> None:
        """Open a file and wait until it is loaded."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.problems.clear()
        self.requests.clear()
        self.loaded = False
        self.call("Page.navigate", url=path.absolute().as_uri())
        self.browser.wait(lambda: self.loaded)

    def value(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Take a picture of the page as a PNG."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(b64decode(answer["data"]))

    def print_to(self, path: Path) -> None:
        """Print the page as a PDF on A4."""
        answer = self.call(
            "Page.printToPDF", paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True
        )
        path.write_bytes(b64decode(answer["data"]))

    def hear(self, method: str, parameters: dict[str, Any]) -> None:
        """Note what happens in the tab."""
        if method == "Network.requestWillBeSent":
            self.requests.append(str(parameters["request"]["url"]))
        elif method == "Log.entryAdded":
            self.problems.append(str(parameters["entry"]["text"]))
        elif method == "Runtime.consoleAPICalled":
            self.problems.append(json.dumps(parameters["args"]))
        elif method == "Runtime.exceptionThrown":
            self.problems.append(str(parameters["exceptionDetails"]["text"]))
        elif method == "Page.loadEventFired":
            self.loaded = True


class Browser:
    """A running Chromium; messages end in NUL, in both directions."""

    def __init__(self, to: int, from_: int) -> None:
        self._to = to
        self._from = from_
        self._rest = b""
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._pages: dict[str, Page] = {}

    def page(self) -> Page:
        """Open a tab."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(browser=self, target=target, session=attached["sessionId"])
        self._pages[page.session] = page
        for domain in ("Page", "Network", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        return page

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        self.wait(lambda: number in self._answers)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def wait(self, condition: Any) -> None:
        """Take messages until the condition holds."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            message = self._receive(deadline)
            if "id" in message:
                self._answers[message["id"]] = message
            elif message.get("sessionId") in self._pages:
                page = self._pages[message["sessionId"]]
                page.hear(message["method"], message["params"])

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError(f"Chromium did not answer within {SECONDS:g} s")
            piece = os.read(self._from, 1 << 20)
            if not piece:
                raise RuntimeError("Chromium ended")
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium with a profile of its own, and end it."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        # the program speaks on descriptors 3 and 4
        script = f'exec "$@" 3<&{to_read} 4>&{from_write}'
        process = subprocess.Popen(
            ["bash", "-c", script, "bash", "chromium", *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(to_read, from_write),
            env=clean_environ() | {"HOME": profile},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_read)
        os.close(from_write)
        try:
            yield Browser(to_write, from_read)
        finally:
            os.close(to_write)
            os.close(from_read)
            kill_tree(process.pid)
            process.wait()
