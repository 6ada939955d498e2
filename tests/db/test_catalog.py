"""What the schema promises, read from Postgres' own catalog: it must distribute by tenant, and no row may leak."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from db import bulk
from db.imports import STAGED
from db.pool import ROLE
from db.queries import Query, all_queries

# The program's own tables without a tenant: the list of tenants, and which migrations ran.
GLOBAL = {"tenants", "schema_migrations", "rate_slots"}

Catalog = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    with psycopg.connect(database_url) as connection:
        yield connection
        connection.rollback()


def column(catalog: Catalog, query: str) -> list[str]:
    return [row[0] for row in catalog.execute(query.encode()).fetchall()]


def tenant_tables(catalog: Catalog) -> set[str]:
    tables = set(
        column(
            catalog,
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')",
        )
    )
    return tables - GLOBAL


def test_the_tables_of_the_design_are_there(catalog: Catalog) -> None:
    assert tenant_tables(catalog) >= {
        "contacts", "campaigns", "campaign_contacts", "campaign_emails", "campaign_analytics", "deliveries", "events",
        "approvals", "suppressions", "api_keys", "audit_log", "conversations",
    }  # fmt: skip


def test_every_table_has_a_tenant(catalog: Catalog) -> None:
    with_tenant = column(
        catalog,
        "SELECT attrelid::regclass::text FROM pg_attribute WHERE attname = 'tenant_id' AND attnotnull AND attnum > 0"
        " AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r')",
    )
    assert tenant_tables(catalog) - set(with_tenant) == set()


def test_the_tenant_leads_every_key_and_unique_index(catalog: Catalog) -> None:
    late = column(
        catalog,
        "SELECT i.indexrelid::regclass || ' of ' || i.indrelid::regclass"
        " FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
        " WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique"
        " AND c.relname NOT IN ('tenants', 'schema_migrations', 'rate_slots')"
        " AND (SELECT attname FROM pg_attribute WHERE attrelid = i.indrelid AND attnum = i.indkey[0])"
        "  IS DISTINCT FROM 'tenant_id'",
    )
    assert late == []


def test_no_foreign_key_crosses_tenants(catalog: Catalog) -> None:
    crossing = column(
        catalog,
        "SELECT conname || ' of ' || conrelid::regclass FROM pg_constraint k WHERE contype = 'f'"
        " AND confrelid <> 'tenants'::regclass"
        " AND NOT EXISTS (SELECT FROM unnest(k.conkey, k.confkey) AS pair (here, there)"
        "  JOIN pg_attribute h ON h.attrelid = k.conrelid AND h.attnum = pair.here AND h.attname = 'tenant_id'"
        "  JOIN pg_attribute t ON t.attrelid = k.confrelid AND t.attnum = pair.there AND t.attname = 'tenant_id')",
    )
    assert crossing == []


def test_row_level_security_is_forced_on_every_tenant_table(catalog: Catalog) -> None:
    open_ones = column(
        catalog,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        " AND relname <> 'schema_migrations'"
        " AND NOT (relrowsecurity AND (relforcerowsecurity OR relname IN ('tenants', 'rate_slots')))",
    )
    assert open_ones == []


def test_every_policy_compares_the_tenant_for_reading_and_for_writing(catalog: Catalog) -> None:
    rows = catalog.execute(
        b"SELECT tablename, qual, with_check FROM pg_policies WHERE schemaname = 'public' AND tablename <> 'tenants'"
        b" AND roles <> '{smartcampaign_lookup}'"
    ).fetchall()
    assert {row[0] for row in rows} == tenant_tables(catalog)
    assert {(row[1], row[2]) for row in rows} == {("(tenant_id = current_tenant())", "(tenant_id = current_tenant())")}


def test_what_checks_the_tenant_itself_is_one_view_that_only_reads(catalog: Catalog) -> None:
    """Its owner sees every tenant's contacts (docs/decisions/0010), so nobody is it, and it has nothing else."""
    policies = catalog.execute(
        b"SELECT tablename, cmd, qual FROM pg_policies WHERE roles = '{smartcampaign_lookup}'"
    ).fetchall()
    assert policies == [("contacts", "SELECT", "true")]
    owned = column(catalog, "SELECT relname FROM pg_class WHERE relowner = 'smartcampaign_lookup'::regrole")
    assert owned == ["findable_contacts"]
    assert column(catalog, "SELECT pg_get_viewdef('findable_contacts')")[0].endswith(
        "WHERE (tenant_id = current_tenant());"
    )
    role = catalog.execute(
        b"SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin FROM pg_roles"
        b" WHERE rolname = 'smartcampaign_lookup'"
    ).fetchone()
    assert role == (False, False, False, False, False)
    # Its maker may grant it (that is what making a role means), but may not become it.
    assert (
        column(
            catalog,
            "SELECT member::regrole::text FROM pg_auth_members"
            " WHERE roleid = 'smartcampaign_lookup'::regrole AND (set_option OR inherit_option)",
        )
        == []
    )
    granted = catalog.execute(
        b"SELECT table_name, privilege_type FROM information_schema.table_privileges"
        b" WHERE grantee = 'smartcampaign_lookup' AND table_name <> 'findable_contacts'"
    ).fetchall()
    assert granted == [("contacts", "SELECT")]


def test_there_is_no_sequence(catalog: Catalog) -> None:
    assert column(catalog, "SELECT relname FROM pg_class WHERE relkind = 'S'") == []


def test_every_time_has_a_zone(catalog: Catalog) -> None:
    naive = column(
        catalog,
        "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND data_type = 'timestamp without time zone'",
    )
    assert naive == []


def test_the_programs_role_owns_nothing_and_is_no_superuser(catalog: Catalog) -> None:
    row = catalog.execute(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin FROM pg_roles WHERE rolname = %s",
        (ROLE,),
    ).fetchone()
    assert row == (False, False, False, False, False)
    owned = catalog.execute(
        "SELECT count(*) FROM pg_class WHERE relowner = (SELECT oid FROM pg_roles WHERE rolname = %s)", (ROLE,)
    ).fetchone()
    assert owned == (0,)


FORBIDDEN = [
    "DELETE FROM audit_log",
    "UPDATE audit_log SET actor = 'x'",
    "DELETE FROM events",
    "UPDATE events SET kind = 'open'",
    "DELETE FROM deliveries",
    "DELETE FROM suppressions",
    "INSERT INTO tenants (name) VALUES ('x')",
    "CREATE TABLE x (y int)",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_what_the_program_may_never_do_is_refused_by_postgres(catalog: Catalog, statement: str) -> None:
    catalog.execute(f"SET ROLE {ROLE}".encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        catalog.execute(statement.encode())


@pytest.mark.parametrize("query", all_queries(), ids=str)
def test_query_fits_the_schema(catalog: Catalog, query: Query) -> None:
    catalog.execute(bulk.staging("contacts", STAGED))
    catalog.execute(f"EXPLAIN {query.sql}".encode(), dict.fromkeys(query.parameters))


@pytest.mark.parametrize("query", [query for query in all_queries() if query.noun not in ("tenants", "rates")], ids=str)
def test_query_names_the_tenant(query: Query) -> None:
    """Row-level security would hide the rows anyway; the predicate lets a distributed database find them."""
    assert "tenant" in query.parameters
    assert "tenant_id" in query.sql
