"""A service's role can touch its own rows and nothing else."""

from pathlib import Path

import asyncpg
import pytest

from deploy.prepare import APPEND_ONLY
from deploy.stack import credentials
from deploy.stack.credentials import SERVICES
from deploy.stack.services import role_url
from deploy.stack.state import open_folder
from tests.journeys.shop import Shop


async def test_what_a_schema_holds_belongs_to_a_role_that_nobody_can_log_in_as(shop: Shop) -> None:
    connection = await asyncpg.connect(shop.addresses["postgres"]["superuser_url"])
    try:
        owners = await connection.fetch(
            """
            SELECT DISTINCT rolname, rolcanlogin, rolsuper
              FROM pg_roles JOIN (SELECT nspowner, oid FROM pg_namespace WHERE nspname = any($1)) schema ON TRUE
             WHERE pg_roles.oid = nspowner
                OR pg_roles.oid IN (SELECT relowner FROM pg_class WHERE relnamespace = schema.oid)
                OR pg_roles.oid IN (SELECT proowner FROM pg_proc WHERE pronamespace = schema.oid)
            """,
            SERVICES,
        )
        database = await connection.fetchval("SELECT current_database()")
    finally:
        await connection.close()

    assert [tuple(owner) for owner in owners] == [(f"{database}_owner", False, False)]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_reads_and_writes_its_own_schema_and_no_other(shop: Shop, running: Path, service: str) -> None:
    password = credentials.keep(open_folder(running)).role_passwords[service]
    url = role_url(shop.addresses["postgres"]["superuser_url"], service, password)

    connection = await asyncpg.connect(url)
    try:
        assert await connection.fetchval(f"SELECT count(*) >= 0 FROM {service}.inbox")
        forbidden = [f"SELECT * FROM {other}.inbox" for other in SERVICES if other != service]
        forbidden += [
            f"CREATE TABLE {service}.mine (x int)",
            "CREATE TABLE public.mine (x int)",
            f"DROP TABLE {service}.inbox",
            f"TRUNCATE {service}.inbox",
            f"ALTER TABLE {service}.inbox ADD COLUMN x int",
            f"DELETE FROM {service}.migration",
            "CREATE ROLE friend",
        ]
        for statement in forbidden:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_has_nothing_of_its_own_run_with_the_owners_rights(shop: Shop, running: Path, service: str) -> None:
    """What a service may not empty is emptied for it, by a function of the owner: it must not be led to other tables."""
    password = credentials.keep(open_folder(running)).role_passwords[service]

    connection = await asyncpg.connect(role_url(shop.addresses["postgres"]["superuser_url"], service, password))
    try:
        await connection.execute(
            f"""
            CREATE FUNCTION pg_temp.who() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'run as %, by %', current_user, session_user;
            END $$;
            CREATE TEMPORARY TABLE inbox_undated AS TABLE {service}.inbox_undated WITH NO DATA;
            GRANT ALL ON pg_temp.inbox_undated TO PUBLIC;
            CREATE TRIGGER who BEFORE DELETE ON pg_temp.inbox_undated FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.who();
            """
        )

        await connection.fetchval(f"SELECT {service}.forget_inbox(current_date - 30)")
    finally:
        await connection.close()


async def test_what_runs_with_its_owners_rights_looks_for_tables_of_its_caller_last(shop: Shop) -> None:
    connection = await asyncpg.connect(shop.addresses["postgres"]["superuser_url"])
    try:
        settings = await connection.fetch(
            """
            SELECT nspname, (SELECT setting FROM unnest(proconfig) setting WHERE setting LIKE 'search_path=%')
              FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
             WHERE prosecdef AND nspname = any($1) ORDER BY nspname
            """,
            SERVICES,
        )
    finally:
        await connection.close()

    assert [tuple(each) for each in settings] == [(service, f"search_path={service}, pg_temp") for service in sorted(SERVICES)]


@pytest.mark.parametrize(("service", "table"), [(service, table) for service in SERVICES for table in APPEND_ONLY[service]])
async def test_what_is_on_record_is_added_to_and_neither_changed_nor_taken_away(
    shop: Shop, running: Path, service: str, table: str
) -> None:
    password = credentials.keep(open_folder(running)).role_passwords[service]

    connection = await asyncpg.connect(role_url(shop.addresses["postgres"]["superuser_url"], service, password))
    try:
        rights = {
            right: await connection.fetchval("SELECT has_table_privilege($1, $2)", f"{service}.{table}", right)
            for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
        }
        for statement in (
            f"UPDATE {service}.{table} SET at = now()",
            f"DELETE FROM {service}.{table}",
            f"TRUNCATE {service}.{table}",
            f"SELECT * FROM {service}.{table} FOR UPDATE",
            f"ALTER TABLE {service}.{table} DISABLE TRIGGER ALL",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()
    assert {right for right, is_granted in rights.items() if is_granted} == {"SELECT", "INSERT"}
