"""`orderbus dead-letters`: what could not be handled, for whoever must decide. Everything goes through each service's own
HTTP API: what the token may not, this command cannot."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from deploy.cli.telling import fail

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

app = typer.Typer(help="See, replay and discard what could not be handled.", no_args_is_help=True)

PATH = "/api/dead-letters"
AState = StrEnum("AState", ("retrying", "dead", "handled", "discarded"))
STATES = tuple(AState)
IDS_AT_ONCE = 50

COLUMNS = 120
"""An id, what it is about and when take a hundred; the reason has the rest."""

Ids = Annotated[list[UUID] | None, typer.Argument(metavar="[ID]...", help="Letters, by their ids.")]
Service = Annotated[list[str] | None, typer.Option("--service", help="Of this service; of all unless said.")]
Type = Annotated[str | None, typer.Option("--type", help="Of this event type.")]
Reason = Annotated[str | None, typer.Option("--reason", help="With this in their reason.")]
State = Annotated[list[AState] | None, typer.Option("--state", help="In this state. Open ones unless said.")]
Why = Annotated[str, typer.Option("--why", help="Why: it stays on record, with who.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("list")
def list_letters(
    ids: Ids = None,
    service: Service = None,
    type: Type = None,
    reason: Reason = None,
    state: State = None,
    every: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    each: Annotated[bool, typer.Option("--each", help="Letter by letter instead of by type and reason.")] = False,
    as_json: Json = False,
) -> None:
    """Show what could not be handled: by type and reason, with counts, or letter by letter."""
    wanted = {"id": _texts(ids), "type": type, "reason": reason, "state": list(STATES) if every or (ids and not state) else state}
    apis = _apis(service)
    if ids or each:
        letters = [{"service": api.name, **letter} for api in apis for letter in api.letters(wanted)]
        _print({"letters": letters}, as_json, _letters_table)
    else:
        groups = [{"service": api.name, **group} for api in apis for group in api.get("/groups", wanted)["groups"]]
        _print({"groups": groups}, as_json, _groups_table)


@app.command()
def show(id: Annotated[UUID, typer.Argument(metavar="ID", help="The letter's id.")], as_json: Json = False) -> None:
    """Show one letter whole: its event, its stack, and what was decided of it."""
    for api in _apis(None):
        if (letter := api.letter(str(id))) is not None:
            _print({"service": api.name, **letter}, as_json, _whole)
            return
    fail(f"there is no dead letter {id}")


@app.command()
def replay(
    why: Why,
    ids: Ids = None,
    service: Service = None,
    type: Type = None,
    reason: Reason = None,
    state: State = None,
    every: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    edit: Annotated[
        str | None, typer.Option("--edit", help="A file with the event that takes the place of an unreadable one; - is stdin.")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Try letters again now that their cause is mended. Each takes effect once, however often it is replayed."""
    wish: dict[str, Any] = {
        "ids": _texts(ids),
        "type": type,
        "reason": reason,
        "states": state,
        "all": every,
        "why": why,
        "dry_run": dry_run,
    }
    if edit is not None:
        if len(ids or ()) != 1:
            fail("--edit replaces the event of one letter: give its id")
        wish["event"] = _event(edit)
    _decide("replay", wish, service, as_json)


@app.command()
def discard(
    why: Why,
    ids: Ids = None,
    service: Service = None,
    type: Type = None,
    reason: Reason = None,
    state: State = None,
    every: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Give letters up. They stay on record, with who and why, and are never tried again."""
    wish: dict[str, Any] = {
        "ids": _texts(ids),
        "type": type,
        "reason": reason,
        "states": state,
        "all": every,
        "why": why,
        "dry_run": dry_run,
    }
    _decide("discard", wish, service, as_json)


class Api:
    """The dead letters of one service."""

    def __init__(self, name: str, url: str, token: str) -> None:
        self.name = name
        self._url = url + PATH
        self._headers = {"authorization": f"Bearer {token}"}

    def get(self, path: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a question; ends the command with a message when there is none."""
        return self._ask("GET", path, params={name: value for name, value in wanted.items() if value})

    def letters(self, wanted: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Every letter that is wanted, page by page; by ids, as many at a time as an address holds."""
        ids = wanted.get("id") or ()
        for some in [ids[at : at + IDS_AT_ONCE] for at in range(0, len(ids), IDS_AT_ONCE)] or [()]:
            page: int | None = 1
            while page is not None:
                answer = self.get("", {**wanted, "id": some, "page": page, "page_size": 100})
                yield from answer["letters"]
                page = answer["next_page"]

    def letter(self, id: str) -> dict[str, Any] | None:
        """One letter whole, or None when it is not this service's."""
        return self._ask("GET", f"/{_part(id)}", is_missing_told=False) or None

    def decide(self, decision: str, wish: Mapping[str, Any]) -> dict[str, Any]:
        """What became of it."""
        return self._ask("POST", f"/{decision}", json={name: value for name, value in wish.items() if value})

    def _ask(self, method: str, path: str, *, is_missing_told: bool = True, **more: Any) -> dict[str, Any]:
        import httpx

        from deploy.trust import trusted_at

        try:
            answer = httpx.request(
                method,
                self._url + path,
                headers=self._headers,
                timeout=60,
                verify=trusted_at(self._url),
                trust_env=False,
                follow_redirects=False,
                **more,
            )
            told: dict[str, Any] = answer.json()
        except (httpx.TransportError, ValueError) as error:
            fail(f"{self.name} does not answer ({error!r}); ./orderbus status tells more, ./orderbus up starts it")
        if answer.status_code == 404 and not is_missing_told:
            return {}
        if not answer.is_success:
            fail(f"{self.name}: {told.get('detail', answer.status_code)}")
        return told


def _apis(wanted: list[str] | None) -> list[Api]:
    from deploy.cli.addresses import stack

    found = stack()
    if unknown := sorted(set(wanted or ()) - found["services"].keys()):
        fail(f"there is no service {unknown[0]}; there are {', '.join(found['services'])}")
    return [Api(name, each["url"], found["token"]) for name, each in found["services"].items() if not wanted or name in wanted]


def _texts(ids: list[UUID] | None) -> list[str] | None:
    return None if ids is None else list(map(str, ids))


def _decide(decision: str, wish: dict[str, Any], service: list[str] | None, as_json: bool) -> None:
    """In each service; letters that are named by id only where they are, and only when all of them are somewhere."""
    if not any(wish[name] for name in ("ids", "type", "reason", "states", "all")) and not service:
        fail("say which letters: ids, --service, --type, --reason, --state, or --all")
    if not wish["why"].strip():
        fail("say why: it stays on record")
    wish["all"] = wish["all"] or service is not None
    places: list[tuple[Api, dict[str, Any]]] = [(api, wish) for api in _apis(service)]
    if wish["ids"]:
        places = [(api, {**wish, "ids": ids}) for api, _ in places if (ids := _held(api, wish["ids"]))]
        held = {id for _, told in places for id in told["ids"]}
        if missing := [id for id in wish["ids"] if id.lower() not in held]:
            fail(f"there is no dead letter {missing[0]}{f' in {service[0]}' if service else ''}; nothing was done")
    done = {api.name: api.decide(decision, told) for api, told in places}
    total = sum(answer["count"] for answer in done.values())
    _print({"decision": decision, "dry_run": wish["dry_run"], "count": total, "services": done}, as_json, _outcome)


def _held(api: Api, ids: list[str]) -> list[str]:
    """Which of the letters this service has."""
    return [letter["id"] for letter in api.letters({"id": ids, "state": list(STATES)})]


def _event(file: str) -> dict[str, Any]:
    try:
        event = json.loads(sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes())
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")
    except ValueError as error:
        fail(f"{file} is not JSON: {error}")
    if not isinstance(event, dict):
        fail(f"{file} should hold one CloudEvent, a JSON object")
    return event


def _part(id: str) -> str:
    from urllib.parse import quote

    return quote(id, safe="")


def _print(told: dict[str, Any], as_json: bool, shown: Any) -> None:
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    from deploy.cli.paper import paper

    console: Console = paper(least=COLUMNS)
    for each in shown(told):
        console.print(each, soft_wrap=True)


def _groups_table(told: dict[str, Any]) -> Iterator[RenderableType]:
    from rich.text import Text

    if not told["groups"]:
        yield "there are no dead letters"
        return
    table = _table("", "service", "type", "retrying", "dead", "last", "for example", "reason")
    for group in told["groups"]:
        numbers = [str(group[name]) for name in ("count", "retrying", "dead")]
        about = [group["service"], group["type"] or "(unreadable)"]
        last, reason = _clock(group["last_failed_at"]), Text(group["reason"])
        table.add_row(numbers[0], *about, *numbers[1:], last, group["example"], reason)
    yield table


def _letters_table(told: dict[str, Any]) -> Iterator[RenderableType]:
    from rich.text import Text

    if not told["letters"]:
        yield "there are no dead letters"
        return
    table = _table("id", "service", "type", "about", "state", "tries", "last", "reason")
    for letter in told["letters"]:
        about = [letter["service"], letter["type"] or "(unreadable)", letter["subject"] or ""]
        state, tries = letter["state"], str(letter["attempts"])
        table.add_row(letter["id"], *map(Text, about), state, tries, _clock(letter["last_failed_at"]), Text(letter["reason"]))
    yield table


def _whole(letter: dict[str, Any]) -> Iterator[RenderableType]:
    from rich.text import Text

    names = ("service", "id", "state", "type", "event_id", "source", "subject", "exchange", "routing_key", "queue")
    for name in (*names, "reason", "attempts", "first_failed_at", "last_failed_at", "next_attempt_at", "closed_at", "closed_by"):
        if letter[name] is not None:
            yield Text(f"{name.replace('_', ' '):<16} {letter[name]}")
    for decided in letter["decisions"]:
        mended = " with its event replaced" if decided["mended"] else ""
        yield Text(f"{decided['decision']:<16} {decided['at']} by {decided['actor']}{mended}: {decided['why']}")
    if not letter["may_see_event"]:
        yield Text("the event and the stack are for tokens with the scope ops:dead-letters", "dim")
    for heading, content in (("event", letter["event"]), ("body", letter["body"]), ("stack", letter["stack"])):
        if content is not None:
            shown = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2)
            yield Text(f"\n{heading}\n{shown}")


def _outcome(told: dict[str, Any]) -> Iterator[RenderableType]:
    done = {"replay": "replayed", "discard": "discarded"}[told["decision"]]
    yield f"{told['count']} would be {done}" if told["dry_run"] else f"{told['count']} {done}"
    groups = [{"service": name, **group} for name, answer in told["services"].items() for group in answer["groups"]]
    if groups:
        yield from _groups_table({"groups": groups})


def _table(*names: str) -> Any:
    from rich.table import Table

    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, no_wrap=name != "reason", overflow="fold", justify="right" if name in ("", "tries") else "left")
    return table


def _clock(at: str) -> str:
    from datetime import datetime

    return f"{datetime.fromisoformat(at).astimezone():%m-%d %H:%M:%S}"
