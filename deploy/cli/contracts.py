"""`orderbus contracts`: what is written down of events, HTTP, settings, metrics and commands, brought up to date."""

import typer

app = typer.Typer()


@app.command()
def contracts() -> None:
    """Write schemas, OpenAPI, AsyncAPI and the reference pages in docs/ from the code; refuses a change that breaks a
    consumer."""
    from deploy.contracts import document, schemas

    try:
        changed = [*schemas.write(), *document.write()]
    except schemas.BrokenContract as broken:
        typer.echo(f"These changes would break somebody; raise the event's version instead:\n{broken}", err=True)
        raise typer.Exit(1) from None
    typer.echo("\n".join(f"wrote {name}" for name in changed) or "everything is up to date")
