"""`python -m app own`."""

import click

from app.scaffold.checkout import ROOT, ScaffoldError, require_committed
from app.scaffold.own import own_service


@click.command()
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="List the changes and make none.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(name: str, dry_run: bool, yes: bool) -> None:
    """Take the example off, and leave a service of this NAME.

    What stays is the layer, the checker and the kit: health, docs page,
    migrations, tests. Everything must be committed, so that git can undo it:
    git reset --hard && git clean -fd

    \b
    Example:
        python -m app own bookshop
    """
    try:
        require_committed(ROOT)
        changes = own_service(ROOT, name)
    except ScaffoldError as error:
        raise click.ClickException(str(error)) from None
    for change in changes:
        click.echo(f"{'delete' if change.text is None else 'write '}  {change.path.relative_to(ROOT)}")
    if dry_run or not (yes or click.confirm(f"\nMake these {len(changes)} changes?")):
        return
    for change in changes:
        change.apply()
    click.echo(
        f"\nThis is {name} now. Next: make test, then python -m app new resource.\n"
        "The embedded database in .postgres/ may still have the example's tables; delete the folder to start afresh."
    )
