"""/monitor in a real browser: it lives, shows what breaks, and can be read and used by everyone."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe  # pyright: ignore[reportMissingTypeStubs] - it has none
from playwright.sync_api import Browser, Page, expect

from app.embedded import EmbeddedPostgres
from tests.processes import server_folder, service

pytestmark = pytest.mark.debian
WIDE, PHONE = (1280, 900), (375, 800)
KEY = "a key of the tests, long enough for HMAC-SHA-256"
# Where the page's pictures for the README go, if anywhere: SCREENSHOTS=docs.
SCREENSHOTS = os.environ.get("SCREENSHOTS")
SECONDS = 1000.0


@pytest.fixture
def server() -> Iterator[tuple[EmbeddedPostgres, str]]:
    """A server that the test may stop and start again, and its DSN."""
    with server_folder() as folder:
        server = EmbeddedPostgres(folder)
        dsn = server.start()
        try:
            yield server, dsn
        finally:
            server.stop()


@pytest.fixture
def address(server: tuple[EmbeddedPostgres, str], tmp_path: Path) -> Iterator[str]:
    """A running service in development, on that server."""
    # A pipe that nobody reads would fill up with the lines of requests that fail.
    settings = {"DATABASE_URL": server[1], "SECRET_KEY": KEY, "ENVIRONMENT": "development", "LOG_LEVEL": "error"}
    with service("serve", "--migrate", folder=tmp_path, **settings) as (_, client):
        yield str(client.base_url).rstrip("/")


@contextmanager
def load(address: str) -> Generator[None]:
    """Ask for everything that needs no parameter, all the time."""
    paths: dict[str, Any] = httpx2.get(f"{address}/openapi.json").json()["paths"]
    asked = [path for path, methods in paths.items() if "get" in methods and "{" not in path and "export" not in path]
    ends = threading.Event()

    def ask() -> None:
        with httpx2.Client(base_url=address, timeout=30) as client:
            while not ends.is_set():
                for path in asked:
                    client.get(path)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ends.set()
        for thread in threads:
            thread.join()


@contextmanager
def opened(chromium: Browser, address: str, size: tuple[int, int], scheme: Any = "light") -> Generator[Page]:
    """The page; at its end there was no error in the console but those of a service that could not answer."""
    page = chromium.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{address}/monitor")
    yield page
    page.close()
    assert errors == []


def refuse_violations(page: Page) -> None:
    """Contrast, labels, names and the rest of axe's rules."""
    results: Any = Axe().run(page)  # pyright: ignore[reportUnknownMemberType] - it has no types
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_everyone_can_read_it_on_any_screen(
    chromium: Browser, address: str, size: tuple[int, int], scheme: str
) -> None:
    httpx2.get(f"{address}/health/ready")
    with opened(chromium, address, size, scheme) as page:
        expect(page.locator("#live")).to_have_text("live")
        refuse_violations(page)
        timing = page.evaluate("performance.getEntriesByType('navigation')[0].serverTiming.map(each => each.name)")
        assert timing == ["app", "pool", "db", "total"]
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        page.get_by_role("link", name="health.list_applied_migrations").click()
        page.get_by_role("button", name="Explain").click()
        expect(page.locator("pre").last).to_contain_text("_yoyo_migration")
        refuse_violations(page)


def test_values_change_under_load(chromium: Browser, address: str) -> None:
    with load(address), opened(chromium, address, WIDE) as page:
        calls = page.locator("#statements tr", has_text="health.list_applied_migrations").locator("td").first
        expect(calls).to_be_visible(timeout=20 * SECONDS)
        before = calls.inner_text()
        expect(calls).not_to_have_text(before, timeout=20 * SECONDS)
        expect(page.locator("#tiles dd").first).not_to_have_text("0", timeout=20 * SECONDS)
        if SCREENSHOTS:
            page.wait_for_timeout(30 * SECONDS)
            page.screenshot(path=Path(SCREENSHOTS) / "monitor.png")


def test_a_server_that_is_gone_shows_and_so_does_its_return(
    chromium: Browser, address: str, server: tuple[EmbeddedPostgres, str]
) -> None:
    with load(address), opened(chromium, address, WIDE) as page:
        banner = page.locator("#banner")
        expect(page.locator("#live")).to_have_text("live")
        server[0].stop()
        expect(banner).to_contain_text("The database has not answered since", timeout=30 * SECONDS)
        expect(page.locator("#live")).to_have_text("live")
        if SCREENSHOTS:
            page.screenshot(path=Path(SCREENSHOTS) / "monitor-fault.png")
        server[0].start()
        expect(banner).not_to_contain_text("The database has not answered since", timeout=30 * SECONDS)


def test_the_keyboard_is_enough_and_stays_where_it_was(chromium: Browser, address: str) -> None:
    httpx2.get(f"{address}/health/ready")
    with load(address), opened(chromium, address, WIDE) as page:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "sort-calls":
                break
        page.keyboard.press("Enter")
        expect(page.locator("th[aria-sort]")).to_have_text("Calls")
        page.locator("#sort-p99").focus()
        page.wait_for_timeout(2.5 * SECONDS)
        assert page.evaluate("document.activeElement.id") == "sort-p99"


def test_a_service_that_stops_does_not_wait_for_the_page(
    chromium: Browser, server: tuple[EmbeddedPostgres, str], tmp_path: Path
) -> None:
    with service("serve", "--migrate", folder=tmp_path, DATABASE_URL=server[1], SECRET_KEY=KEY) as (process, client):
        page = chromium.new_page()
        page.goto(f"{str(client.base_url).rstrip('/')}/monitor")
        expect(page.locator("#live")).to_have_text("live")
        process.terminate()
        # Less than SHUTDOWN_TIMEOUT, after which the stream would be cut off.
        assert process.wait(8) == 0
        expect(page.locator("#live")).to_contain_text("no connection to the service")
