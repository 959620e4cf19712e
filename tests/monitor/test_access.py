"""Who may look at the monitor."""

from __future__ import annotations

import pytest

from tests.monitor.conftest import TOKEN, Connect

PATHS = ("/monitor", "/monitor/state", "/monitor/statements/health.delete_nothing", "/metrics")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("127.0.0.1", "127.0.0.1:8000"), ("127.0.0.1", "localhost"), ("::1", "[::1]:8000"),
        ("::ffff:127.0.0.1", "localhost"),
    ],
)  # fmt: skip
async def test_this_machine_may_look(connect: Connect, path: str, address: str, host: str) -> None:
    assert (await connect(address, host).get(path)).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("address", "host", "headers"),
    [
        pytest.param("192.0.2.7", "127.0.0.1:8000", {}, id="another machine"),
        pytest.param("127.0.0.1", "evil.example", {}, id="a name that was rebound to this machine"),
        pytest.param("127.0.0.1", "localhost", {"x_forwarded_for": "127.0.0.1"}, id="a proxy on this machine"),
        pytest.param("127.0.0.1", "localhost", {"forwarded": "for=127.0.0.1"}, id="the same, by the standard"),
        pytest.param("127.0.0.1", "localhost", {"via": "1.1 proxy"}, id="a proxy that hides its client"),
        pytest.param("10.0.0.1", "localhost", {"x_forwarded_for": "127.0.0.1"}, id="a trusted proxy"),
        pytest.param("127.0.0.1", "localhost", {"origin": "https://evil.example"}, id="another site's page"),
        pytest.param("127.0.0.1", "localhost", {"sec_fetch_site": "cross-site"}, id="its picture"),
        pytest.param("192.0.2.7", "localhost", {"authorization": "Bearer wrong"}, id="a wrong token"),
        pytest.param("192.0.2.7", "localhost", {"cookie": "bindery_monitor=x"}, id="a wrong cookie"),
    ],
)
async def test_nobody_else_may(connect: Connect, path: str, address: str, host: str, headers: dict[str, str]) -> None:
    answer = await connect(address, host, **headers).get(path)

    assert answer.status_code == 403
    assert "open to this machine only" in answer.text
    assert "health.list_applied_migrations" not in answer.text


@pytest.mark.parametrize("path", PATHS)
async def test_the_token_opens_it_from_anywhere(connect: Connect, path: str) -> None:
    stranger = connect("192.0.2.7", "shop.example", authorization=f"Bearer {TOKEN}")

    assert (await stranger.get(path)).status_code == 200


async def test_a_browser_keeps_what_the_token_opened(connect: Connect) -> None:
    browser = connect("192.0.2.7", "shop.example")
    assert 'type="password"' in (await browser.get("/monitor")).text

    wrong = await browser.post("/monitor/open", content="token=wrong")
    opened = await browser.post("/monitor/open", data={"token": TOKEN})

    assert (wrong.status_code, opened.status_code, opened.headers["location"]) == (403, 303, "../monitor")
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert (await browser.get("/monitor")).status_code == 200


async def test_the_page_may_load_nothing_from_elsewhere_and_no_frame_may_hold_it(connect: Connect) -> None:
    answer = await connect().get("/monitor")

    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
