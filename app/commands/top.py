"""`python -m app top`."""

import json
import time
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import click
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from app.monitor.terminal import render
from app.monitor.view import SORTS
from app.settings import load_settings

EVERY = 1.0  # seconds
TIMEOUT = 5.0  # seconds


class Unanswered(Exception):
    """The service did not tell its state. The message says why and what to do."""


@click.command()
@click.option("--url", help="The service (default: 127.0.0.1 with the setting PORT).")
@click.option("--token", help="The operator's token (default: the setting MONITOR_TOKEN).")
@click.option("--sort", type=click.Choice(SORTS), default="share", show_default=True, help="The order of statements.")
@click.option("--once", is_flag=True, help="Print one picture and end.")
def command(url: str | None, token: str | None, sort: str, once: bool) -> None:
    """Show what a running service does, live: the page /monitor in a terminal.

    Ctrl-C ends it. While the service does not answer, it says so and goes on.

    \b
    Examples:
        python -m app top
        python -m app top --url https://shop.example --token "$MONITOR_TOKEN" --sort p99
    """
    settings = load_settings(needs_secret_key=False)
    address = (url or f"http://127.0.0.1:{settings.port}").rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise click.UsageError(f"--url {address} is no address; allowed: http://127.0.0.1:8000")
    if token is None and settings.monitor_token is not None:
        token = settings.monitor_token.get_secret_value()
    console = Console()
    if once:
        try:
            console.print(render(_state(address, token), sort, console.height))
        except Unanswered as error:
            raise click.ClickException(str(error)) from None
        return
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(_picture(address, token, sort, console.height), refresh=True)
                time.sleep(EVERY)
    except KeyboardInterrupt:
        return


def _picture(address: str, token: str | None, sort: str, height: int) -> RenderableType:
    try:
        return render(_state(address, token), sort, height)
    except Unanswered as error:
        return Text(f"{error}; trying again", "bold red")


def _state(address: str, token: str | None) -> dict[str, Any]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = Request(f"{address}/monitor/state", headers=headers)  # noqa: S310 - http or https, as checked
    try:
        with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - the same
            return json.load(answer)
    except HTTPError as error:
        with error:
            why = error.read(300).decode(errors="replace").strip()
        raise Unanswered(f"{address} answered {error.code}: {why}") from None
    except (URLError, OSError, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise Unanswered(f"{address} does not tell its state ({reason}); is the service running there?") from None
