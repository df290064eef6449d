"""Between two releases a schema only grows: the processes of the one before go on working on it."""

import re

import pytest

from deploy import migrations
from deploy.services import SERVICES
from deploy.stack.state import CHECKOUT
from tests import previous_release

GROWS = re.compile(
    r"CREATE (?!UNIQUE INDEX|OR REPLACE)|INSERT INTO |UPDATE |COMMENT ON "
    r"|SELECT set_config\('search_path', .*, TRUE\)$|ALTER FUNCTION \S+ SET search_path FROM CURRENT$"
    r"|ALTER TABLE \S+ (ADD COLUMN (?!.* NOT NULL(?! DEFAULT| GENERATED))|ADD CONSTRAINT .* NOT VALID$|VALIDATE CONSTRAINT )"
)
"""What an old process does not notice. `NOT NULL` has its default right behind it."""

ANOTHER_CHANGE = r", (?=(?:ADD|DROP|ALTER|RENAME|VALIDATE|SET) )"

CONTRACTS = re.compile(r"^-- contract: nothing since (\d+\.\d+\.\d+) reads it$", re.MULTILINE)


def shrinks(sql: str) -> list[str]:
    """The statements that may take from an old process what it reads or writes. One that names the release since which
    nothing does so may, from the next release on."""
    contract = CONTRACTS.search(sql)
    if contract and _number(contract[1]) <= _number(previous_release.VERSION):
        return []
    return [statement for statement in _statements(sql) if not GROWS.match(statement)]


def _statements(sql: str) -> list[str]:
    """Each on one line; of several changes to a table each as a statement of its own."""
    found = []
    bare = re.sub(r"\$\$.*?\$\$", "$$", re.sub(r"--.*", "", sql), flags=re.DOTALL)
    for statement in filter(None, (" ".join(each.split()) for each in bare.split(";"))):
        table = re.match(r"ALTER TABLE \S+ ", statement)
        if table:
            found += [table[0] + change for change in re.split(ANOTHER_CHANGE, statement[table.end() :])]
        else:
            found.append(statement)
    return found


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t (id uuid PRIMARY KEY, name text NOT NULL); CREATE INDEX t_by_name ON t (name);",
        "ALTER TABLE t ADD COLUMN a text, ADD COLUMN b boolean NOT NULL DEFAULT FALSE; UPDATE t SET a = 'x';",
        "ALTER TABLE t ADD CONSTRAINT a_is_known CHECK (a IN ('x', 'y')) NOT VALID",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN DROP TABLE t; END $$;",
        "SELECT set_config('search_path', 'orders, pg_temp', TRUE); ALTER FUNCTION f(date) SET search_path FROM CURRENT;",
        "-- contract: nothing since 0.1.0 reads it\nALTER TABLE t DROP COLUMN a;",
    ],
)
def test_what_an_old_process_does_not_notice_may_be_added(sql: str) -> None:
    assert shrinks(sql) == []


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE t",
        "ALTER TABLE t DROP COLUMN a",
        "ALTER TABLE t RENAME COLUMN a TO b",
        "ALTER TABLE t RENAME TO u",
        "ALTER TABLE t ALTER COLUMN a TYPE bigint",
        "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
        "ALTER TABLE t ADD COLUMN a text NOT NULL",
        "ALTER TABLE t ADD COLUMN b text, DROP CONSTRAINT t_pkey",
        "ALTER TABLE t ADD CONSTRAINT a_is_positive CHECK (a > 0)",
        "CREATE UNIQUE INDEX a_is_unique ON t (a)",
        "-- contract: nothing since 99.0.0 reads it\nDROP TABLE t",
    ],
)
def test_what_an_old_process_would_miss_is_named(sql: str) -> None:
    assert len(shrinks(sql)) == 1


def test_what_was_released_stays_as_it_is_and_what_came_since_only_adds() -> None:
    released = previous_release.migrations()
    files = {file for service in SERVICES for file in migrations.files(service)}
    sources = {str(file.relative_to(CHECKOUT)): file.read_text() for file in files}

    assert {path: sources.get(path) for path in released} == released
    assert {path: found for path in sources.keys() - released.keys() if (found := shrinks(sources[path]))} == {}
