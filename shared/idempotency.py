"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a repeated write gets the first answer again."""

from hashlib import sha256

from fastapi import Request, Response

from shared.database import Tx
from shared.problems import Unprocessable

MAX_KEY = 255


async def claim(tx: Tx, owner: str, key: str, request: Request) -> Response | None:
    """Take the key, or give back what was answered the first time. A second request that comes while the first is
    under way waits for it. Raises Unprocessable when the key was used for something else."""
    if not 0 < len(key) <= MAX_KEY:
        raise Unprocessable(f"Idempotency-Key should have 1 to {MAX_KEY} characters, not {len(key)}")
    request_hash = sha256(f"{request.method} {request.url.path}\n".encode() + await request.body()).digest()
    taken = await tx.fetchval(
        """
        INSERT INTO idempotency_key (owner, key, request_hash) VALUES ($1, $2, $3)
        ON CONFLICT ON CONSTRAINT idempotency_key_is_used_once DO NOTHING RETURNING TRUE
        """,
        owner,
        key,
        request_hash,
    )
    if taken:
        return None
    first = await tx.fetchrow(
        "SELECT request_hash, status, headers, body FROM idempotency_key WHERE owner = $1 AND key = $2", owner, key
    )
    if first is None or first["request_hash"] != request_hash:
        raise Unprocessable("this Idempotency-Key was used for another request; use a new key for each")
    return Response(first["body"], first["status"], {**first["headers"], "idempotent-replayed": "true"})


async def keep(tx: Tx, owner: str, key: str, response: Response) -> None:
    """Keep the answer with the writes it answers for."""
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    await tx.execute(
        "UPDATE idempotency_key SET status = $3, headers = $4, body = $5 WHERE owner = $1 AND key = $2",
        owner,
        key,
        response.status_code,
        headers,
        bytes(response.body),
    )
