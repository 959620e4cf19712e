"""/docs in a real browser: what people do there, by mouse, by keyboard and on a phone, without console errors."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.processes import service

pytestmark = pytest.mark.debian
WIDE, PHONE = (1200, 900), (375, 800)
KEY = "a key of the tests, long enough for HMAC-SHA-256"


@pytest.fixture
def address(database_url: str, tmp_path: Path) -> Iterator[str]:
    """A running service."""
    with service("serve", folder=tmp_path, DATABASE_URL=database_url, SECRET_KEY=KEY) as (_, client):
        yield str(client.base_url).rstrip("/")


@pytest.fixture(params=[WIDE, PHONE], ids=["wide", "phone"])
def page(chromium: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The docs page; at its end there was no error in the console but those of answers."""
    width, height = request.param
    page = chromium.new_page(viewport={"width": width, "height": height})
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.wait_for_selector(".opblock")
    yield page
    page.close()
    assert [error for error in errors if "the server responded with a status of 4" not in error] == []


def operation(page: Page, name: str) -> Locator:
    """The section of an operation, unfolded."""
    block = page.locator(f"[id$='-{name}']").first
    if "is-open" not in (block.get_attribute("class") or ""):
        block.locator(".opblock-summary-control").click()
    block.locator("button.execute").wait_for()
    return block


def execute(block: Locator) -> tuple[int, str]:
    """The status and the text of the answer to what stands in the form."""
    block.locator("button.execute").click()
    live = block.locator(".live-responses-table tbody .response")
    live.wait_for()
    return int(live.locator(".response-col_status").inner_text().split()[0]), live.inner_text()


def execute_anew(block: Locator) -> tuple[int, str]:
    """The same, after the last answer was cleared."""
    block.locator("button.btn-clear").click()
    return execute(block)


def body_of(text: str) -> dict[str, object]:
    """The JSON inside of what an answer's section shows."""
    return json.loads(text[text.index("{") : text.rindex("}") + 1])


def log_in(page: Page) -> None:
    """Register as the example says, and give the page the token."""
    status, _ = execute(operation(page, "CreateUser"))
    assert status == 201
    token = page.locator("[id$='-CreateUser'] .live-responses-table .highlight-code").first.inner_text()
    found = json.loads(token[token.index("{") : token.rindex("}") + 1])["user"]["token"]
    page.locator("button.authorize").first.click()
    page.locator(".auth-container input").fill(found)
    page.locator(".auth-container button[type=submit]").click()
    page.locator(".btn-done").click()


def test_the_address_of_the_service_leads_here(page: Page, address: str) -> None:
    assert page.url == f"{address}/docs"
    assert page.locator(".opblock").count() == 24
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    expect(page.get_by_role("link", name="openapi.json").last).to_be_visible()


def test_every_example_succeeds_at_the_first_click(page: Page) -> None:
    log_in(page)
    for name, status in (
        ("Login", 200), ("GetCurrentUser", 200), ("UpdateCurrentUser", 200), ("GetProfileByUsername", 200),
        ("CreateArticle", 201), ("GetArticles", 200), ("GetTags", 200),
    ):  # fmt: skip
        assert execute(operation(page, name))[0] == status, name

    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_an_article_is_published_listed_by_cursor_and_deleted(page: Page) -> None:
    log_in(page)
    create = operation(page, "CreateArticle")
    assert execute(create)[0] == 201
    assert execute_anew(create)[0] == 201
    listing = operation(page, "GetArticles")
    listing.locator("tr[data-param-name=limit] input").fill("1")
    status, text = execute(listing)
    assert status == 200
    cursor = text.split("cursor=")[1].split("&")[0].split(">")[0]
    listing.locator("tr[data-param-name=cursor] input").fill(cursor)
    status, text = execute_anew(listing)
    assert status == 200
    slug = text.split('"slug": "')[1].split('"')[0]

    delete = operation(page, "DeleteArticle")
    delete.locator("tr[data-param-name=slug] input").fill(slug)
    assert execute(delete)[0] == 204
    assert execute_anew(delete)[0] == 404


def test_an_empty_path_field_sends_nothing(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    block = operation(page, "GetArticle")
    block.locator("button.execute").click()
    page.wait_for_timeout(300)

    assert [url for url in asked if "/api/" in url] == []
    expect(block.locator("tr[data-param-name=slug] input")).to_have_class("invalid")


def test_the_keyboard_is_enough(page: Page) -> None:
    page.locator("[id$='-CreateUser'] .opblock-summary-control").focus()
    page.keyboard.press("Enter")
    button = page.get_by_role("button", name="Execute POST /api/users", exact=True)
    button.focus()
    page.keyboard.press("Enter")

    expect(page.locator("[id$='-CreateUser'] .live-responses-table .response .response-col_status")).to_contain_text(
        "201"
    )


def test_buttons_have_names_of_their_own_and_operations_have_addresses(page: Page, address: str) -> None:
    operation(page, "GetTags")
    operation(page, "GetArticles")
    names = page.locator("button.execute").evaluate_all("all => all.map(each => each.ariaLabel)")

    assert sorted(names) == ["Execute GET /api/articles", "Execute GET /api/tags"]
    page.goto(f"{address}/docs#/Tags/GetTags")
    page.reload()
    expect(page.locator("[id$='-GetTags'] button.execute")).to_be_visible()


def test_what_an_answer_says_in_its_headers_is_described(page: Page) -> None:
    block = operation(page, "GetArticles")

    expect(block.locator(".responses-table").last).to_contain_text("Link")
    expect(block.locator(".responses-table").last).to_contain_text("Where the list goes on")


def test_a_page_of_another_origin_uses_the_api(chromium: Browser, address: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html><title>front</title>")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as front:
        thread = threading.Thread(target=front.serve_forever)
        thread.start()
        try:
            page = chromium.new_page()
            page.goto(f"http://127.0.0.1:{front.server_port}/")
            found = page.evaluate(USE_THE_API, address)
            page.close()
        finally:
            front.shutdown()
            thread.join()

    assert found == {"registered": 201, "published": [201, 201], "next": True, "second": 1, "deleted": 204}


USE_THE_API = """
async (base) => {
  const ask = (method, path, body, token) => fetch(base + path, {
    method, body: body && JSON.stringify(body),
    headers: {"Content-Type": "application/json", "X-Requested-With": "fetch",
              ...(token ? {Authorization: `Token ${token}`} : {})},
  });
  const user = {username: "bo", email: "bo@example.org", password: "correct horse"};
  const registered = await ask("POST", "/api/users", {user});
  const {token} = (await registered.json()).user;
  const article = {article: {title: "A", description: "B", body: "C"}};
  const first = await ask("POST", "/api/articles", article, token);
  const other = await ask("POST", "/api/articles", article, token);
  const link = (await ask("GET", "/api/articles?limit=1")).headers.get("Link");
  const second = await (await ask("GET", link.match(/<([^>]+)>/)[1])).json();
  const deleted = await ask("DELETE", `/api/articles/${second.articles[0].slug}`, null, token);
  return {registered: registered.status, published: [first.status, other.status],
          next: link.includes('rel="next"'), second: second.articles.length, deleted: deleted.status};
}
"""
