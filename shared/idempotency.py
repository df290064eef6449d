"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a repeated write gets the first answer again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from fastapi import Request, Response

from shared.auth import Principal
from shared.database import Row, Tx
from shared.problems import Problem, Unprocessable

MAX_KEY = 255


@dataclass(frozen=True, slots=True)
class Key:
    """One write of one caller; the hash tells it from any other that comes under the same name."""

    owner: str
    name: str
    request_hash: bytes

    @property
    def place(self) -> tuple[str, str]:
        """What is used once."""
        return self.owner, self.name


async def key_of(request: Request, caller: Principal | None) -> Key | None:
    """The key that the caller sent, if any. Raises Unprocessable for one that is too long."""
    name = request.headers.get("idempotency-key")
    if caller is None or name is None:
        return None
    if not 0 < len(name) <= MAX_KEY:
        raise Unprocessable(f"Idempotency-Key should have 1 to {MAX_KEY} characters, not {len(name)}")
    asked = [f"{request.method} {request.url.path}\n".encode(), *_attributes(request), await request.body()]
    if caller.source is not None:  # one subject may have tokens of several shops: what one was answered is not another's
        asked.append(f"\n{caller.source}".encode())
    return Key(caller.subject, name, sha256(b"".join(asked)).digest())


def _attributes(request: Request) -> list[bytes]:
    """Of a CloudEvent in binary mode most of what is asked is in its headers."""
    return sorted(b"%s: %s\n" % header for header in request.headers.raw if header[0].startswith(b"ce-"))


async def claim(tx: Tx, keys: Iterable[Key]) -> dict[Key, Response | Problem]:
    """Take the keys, each of another place. Those that were used before are given back with what was answered then, or with
    Unprocessable when it was something else that was asked. While the first request of a key is under way this waits for it."""
    # in their order: two processes with the same keys wait for each other instead of deadlocking
    wanted = sorted(keys, key=lambda key: key.place)
    if not wanted:
        return {}
    taken = await tx.fetch(
        """
        INSERT INTO idempotency_key (owner, key, request_hash) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
        ON CONFLICT ON CONSTRAINT idempotency_key_is_used_once DO NOTHING RETURNING owner, key
        """,
        *_columns(wanted),
        [key.request_hash for key in wanted],
    )
    fresh = {(row["owner"], row["key"]) for row in taken}
    return await _first_answers(tx, [key for key in wanted if key.place not in fresh])


async def keep(tx: Tx, answers: Mapping[Key, Response | Problem]) -> None:
    """Keep the answers with the writes they answer for. A key that was answered with a problem may be used again."""
    given = {key: answer for key, answer in answers.items() if isinstance(answer, Response)}
    if given:
        await tx.execute(
            """
            UPDATE idempotency_key k SET status = new.status, headers = new.headers, body = new.body
              FROM unnest($1::text[], $2::text[], $3::integer[], $4::jsonb[], $5::bytea[]) new (owner, key, status, headers, body)
             WHERE k.owner = new.owner AND k.key = new.key
            """,
            *_columns(given),
            [answer.status_code for answer in given.values()],
            [{name: value for name, value in answer.headers.items() if name != "content-length"} for answer in given.values()],
            [bytes(answer.body) for answer in given.values()],
        )
    if refused := [key for key in answers if key not in given]:
        await tx.execute(
            """
            DELETE FROM idempotency_key k USING unnest($1::text[], $2::text[]) refused (owner, key)
             WHERE k.owner = refused.owner AND k.key = refused.key
            """,
            *_columns(refused),
        )


async def _first_answers(tx: Tx, keys: Iterable[Key]) -> dict[Key, Response | Problem]:
    used = {key.place: key for key in keys}
    if not used:
        return {}
    rows = await tx.fetch(
        """
        SELECT k.owner, k.key, request_hash, status, headers, body
          FROM unnest($1::text[], $2::text[]) used (owner, key) JOIN idempotency_key k USING (owner, key)
        """,
        *_columns(used.values()),
    )
    answered = {used[row["owner"], row["key"]]: row for row in rows}
    return {key: _first_answer(key, answered.get(key)) for key in used.values()}


def _first_answer(key: Key, row: Row | None) -> Response | Problem:
    if row is None or row["request_hash"] != key.request_hash:
        return Unprocessable("this Idempotency-Key was used for another request; use a new key for each")
    return Response(row["body"], row["status"], {**row["headers"], "idempotent-replayed": "true"})


def _columns(keys: Iterable[Key]) -> tuple[list[str], list[str]]:
    return [key.owner for key in keys], [key.name for key in keys]
