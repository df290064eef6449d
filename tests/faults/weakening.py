"""A suite that cannot fail is a defect: `python -m tests.faults.weakening [NAME…]` takes one safeguard at a time out of a copy of
the checkout, lets the faults that it stands against loose on it, and says what was found. Exit 0 only if each was missed."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.stack.state import CHECKOUT

LEFT_OUT = shutil.ignore_patterns(".git", ".orderbus", ".venv", ".*_cache", "__pycache__")


@dataclass(frozen=True, slots=True)
class Safeguard:
    """Pieces of files, what stands there without them, and the faults that must then be survived no more; `seconds`: for so
    long again and again, where two must meet by chance."""

    changes: tuple[tuple[str, str, str], ...]
    faults: tuple[str, ...]
    seconds: int = 0


SAFEGUARDS = {
    "outbox_sweeper": Safeguard(
        (("shared/service.py", 'repeat(relay.sweep, timedelta(seconds=1), "sweep"),', ""),),
        ("rabbitmq_connection_cut", "rabbitmq_kill"),
    ),
    "inbox": Safeguard(
        (
            (
                "shared/inbox.py",
                'return list(by_key.values()) if len(rows) == len(by_key) else [by_key[row["key"]] for row in rows]',
                "del rows\n    return list(events)",
            ),
        ),
        ("events_duplicated", "kill_service"),
    ),
    "idempotency_key": Safeguard(
        (("shared/idempotency.py", 'request.headers.get("idempotency-key")', "None"),),
        ("kill_service", "commit_cut"),
    ),
    "lock_of_orders": Safeguard(
        (
            (
                "services/orders/store.py",
                "WHERE id = any($1::text[]) ORDER BY id FOR UPDATE",
                "WHERE id = any($1::text[])",
            ),
        ),
        ("postgres_slow",),
        seconds=240,
    ),
    # either alone is enough: what the lock does not keep apart, the constraint refuses, and it is tried again
    "lock_of_shelves_and_its_constraint": Safeguard(
        (
            (
                "services/inventory/store.py",
                "ORDER BY shelf.sku, location FOR UPDATE OF shelf",
                "ORDER BY shelf.sku, location",
            ),
            (
                "services/inventory/migrations/0001_inventory.sql",
                "CHECK (0 <= reserved AND reserved <= on_hand)",
                "CHECK (TRUE)",
            ),
        ),
        ("hot_article",),
        seconds=120,
    ),
    "key_of_charge": Safeguard(
        (("services/payments/channels/stripe.py", 'headers={"Idempotency-Key": key}', "headers={}"),),
        ("partner_timeout_after_charge", "carrier_drops_connection"),
    ),
    "search_for_waybill": Safeguard(
        (("services/logistics/carriers/dhl.py", "if again and not", "if False and not"),),
        ("carrier_drops_connection",),
    ),
}


def missed(name: str, safeguard: Safeguard) -> list[str]:
    """What goes wrong without it."""
    with tempfile.TemporaryDirectory(prefix=f"orderbus-without-{name}-") as temporary:
        tree = Path(temporary) / "checkout"
        shutil.copytree(CHECKOUT, tree, ignore=LEFT_OUT)
        for path, is_there, is_not in safeguard.changes:
            file = tree / path
            text = file.read_text()
            assert is_there in text, f"{name} is no longer where it was, in {path}"
            file.write_text(text.replace(is_there, is_not))
        only = [argument for fault in safeguard.faults for argument in ("--only", fault)]
        answer = subprocess.run(
            [
                sys.executable,
                "-P",
                "-m",
                "deploy.cli",
                "faults",
                "--json",
                "--seed",
                "1",
                f"--seconds={safeguard.seconds}",
                *only,
            ],
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree)},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert answer.stdout, f"without {name} the suite itself did not come to an end"
    found = json.loads(answer.stdout.splitlines()[-1])
    return [
        f"{fault['name']}: lost {fault['lost']}, doubled {fault['doubled']}, stuck {fault['stuck']}; {violation}"
        for fault in found["faults"]
        for violation in fault["violations"][:3]
    ]


def main() -> None:
    """One line for each thing found."""
    wanted = sys.argv[1:] or list(SAFEGUARDS)
    unnoticed = []
    for name in wanted:
        found = missed(name, SAFEGUARDS[name])
        print(f"without {name}: {'NOTHING WAS FOUND' if not found else f'{len(found)} found'}", flush=True)
        for line in found:
            print(f"  {line}", flush=True)
        unnoticed += [] if found else [name]
    sys.exit(1 if unnoticed else 0)


if __name__ == "__main__":
    main()
