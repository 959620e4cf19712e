"""`python -m app new`."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from app.scaffold.checkout import ROOT, ScaffoldError, write_new
from app.scaffold.fields import TYPES, parse_fields
from app.scaffold.resource import new_resource, registered, singular_of


@click.group("new")
def command() -> None:
    """Write the files of something new."""


@command.command("resource", epilog=f"Types: {', '.join(TYPES)}. A ? after one: it may be null.")
@click.argument("name")
@click.argument("fields", nargs=-1, metavar="FIELD:TYPE[?]...")
@click.option("--singular", help="What one of them is called, where leaving out the s is wrong.")
def resource(name: str, fields: tuple[str, ...], singular: str | None) -> None:
    """Write a resource called NAME, a plural: list, get, create, update, delete.

    Writes a pair of migrations, an SQL file, a repository, a handler and
    tests, and adds the resource to the service and to the lock file.
    An existing file is never overwritten.

    \b
    Example:
        python -m app new resource notes title:text body:text?
    """
    try:
        files = new_resource(ROOT, name, singular or singular_of(name), parse_fields(fields))
        module, text = registered(ROOT, name)
        write_new(files)
    except ScaffoldError as error:
        raise click.ClickException(str(error)) from None
    module.write_text(text, encoding="utf-8")
    for path in files:
        click.echo(f"Created {path.relative_to(ROOT)}")
    click.echo(f"Changed {module.relative_to(ROOT)}")
    _format([*(path for path in files if path.suffix == ".py"), module])
    _run("-m", "app", "check", "--lock")


def _format(paths: list[Path]) -> None:
    if find_spec("ruff") is not None:
        names = [str(path) for path in paths]
        _run("-m", "ruff", "check", "--quiet", "--select", "I", "--fix", *names)
        _run("-m", "ruff", "format", "--quiet", *names)


def _run(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False)  # noqa: S603 - this project's own tools
    if done.returncode:
        raise click.exceptions.Exit(done.returncode)
