"""`python -m app`: serve, and the other commands in app/commands, a module for each."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import click

from app import commands
from app.db import BinderyError
from app.embedded import EmbeddedError
from app.migration_files import MigrationError
from app.serve import ServiceError
from app.settings import SettingsError
from app.signals import exit_on_signals

EXPECTED = (SettingsError, EmbeddedError, MigrationError, ServiceError, BinderyError)


class Commands(click.Group):
    """The commands of app/commands, imported when they are needed: a mistake in sql/ stops only those that read it.

    An expected error is one message on stderr and exit code 1.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the modules. One that Python reserves has an underscore at its end."""
        return sorted(module.name.rstrip("_") for module in iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a module."""
        found = {module.name.rstrip("_"): module.name for module in iter_modules(commands.__path__)}
        if cmd_name not in found:
            return None
        try:
            return import_module(f"{commands.__name__}.{found[cmd_name]}").command
        except BinderyError as error:
            return _broken(cmd_name, error)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            raise click.ClickException(str(error)) from None


def _broken(name: str, error: BinderyError) -> click.Command:
    """Return a command in place of one that cannot be imported, which raises the error when it is run."""

    def fail(_: tuple[str, ...]) -> None:
        raise error

    arguments = click.Argument(["_"], nargs=-1, type=click.UNPROCESSED)
    context = {"ignore_unknown_options": True, "help_option_names": list[str]()}
    return click.Command(name, context, fail, [arguments], help="Cannot be loaded: a file in sql/ is invalid.")


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(context: click.Context) -> None:
    """Bindery: a service over raw asyncpg. Without a command: serve.

    Settings come from the environment and from .env; .env.example lists them.
    Without DATABASE_URL an embedded PostgreSQL keeps its data in .postgres/.
    """
    exit_on_signals()
    if context.invoked_subcommand is None:
        context.invoke(import_module(f"{commands.__name__}.serve").command)


if __name__ == "__main__":
    main(prog_name="python -m app")
