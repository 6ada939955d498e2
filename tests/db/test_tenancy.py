"""Two tenants in one database never meet, whatever happens to the connections between them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

import psycopg
import pytest

from db.pool import ROLE, Database
from tools.base import Tenant


async def mark(database: Database, tenant: Tenant) -> None:
    async with database.transaction(tenant.id) as db:
        await db.execute(
            "INSERT INTO contacts (tenant_id, email) VALUES (%s, %s)", (tenant.id, f"{tenant.id}@example.org")
        )


async def test_the_view_for_look_ups_shows_a_tenant_its_own_rows_and_nobody_anything_else(
    database: Database, new_tenant: Callable[..., Tenant], database_url: str
) -> None:
    one, two = new_tenant(), new_tenant()
    for tenant in (one, two):
        await mark(database, tenant)
    async with database.transaction(one.id) as db:
        cursor = await db.execute("SELECT tenant_id FROM findable_contacts")
        assert await cursor.fetchall() == [(one.id,)]
        cursor = await db.execute("SELECT count(*) FROM findable_contacts WHERE tenant_id = %s", (two.id,))
        assert await cursor.fetchone() == (0,)
    for change in ("DELETE FROM findable_contacts", "UPDATE findable_contacts SET email = 'x@example.org'"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with database.transaction(one.id) as db:
                await db.execute(change.encode())
    with psycopg.connect(database_url) as connection:
        connection.execute(f"SET ROLE {ROLE}".encode())
        assert connection.execute("SELECT count(*) FROM findable_contacts").fetchone() == (0,)


async def test_ten_thousand_interleaved_uses_never_show_another_tenants_row(
    database: Database, new_tenant: Callable[..., Tenant]
) -> None:
    tenants = [new_tenant() for _ in range(5)]
    for tenant in tenants:
        await mark(database, tenant)
    chance = random.Random(7)
    seen = 0

    class OnPurpose(Exception):
        pass

    async def use(tenant: Tenant) -> None:
        nonlocal seen
        async with database.transaction(tenant.id) as db:
            cursor = await db.execute("SELECT tenant_id, current_user FROM contacts")
            rows = await cursor.fetchall()
            assert rows == [(tenant.id, ROLE)]
            seen += 1
            what = chance.random()
            if what < 0.1:
                raise OnPurpose
            if what < 0.15:
                await db.execute("SELECT 1 / 0")
            if what < 0.2:
                await asyncio.sleep(0.05)

    async def worker(count: int) -> None:
        for _ in range(count):
            task = asyncio.create_task(use(chance.choice(tenants)))
            if chance.random() < 0.05:
                await asyncio.sleep(0)
                task.cancel()
            with contextlib.suppress(OnPurpose, psycopg.errors.DivisionByZero, asyncio.CancelledError):
                await task

    await asyncio.gather(*(worker(1_250) for _ in range(8)))
    assert seen > 9_000


async def test_without_a_tenant_there_are_no_rows(
    database_url: str, database: Database, new_tenant: Callable[..., Tenant]
) -> None:
    await mark(database, new_tenant())
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute(f"SET ROLE {ROLE}".encode())
        for table in ("contacts", "tenants"):
            cursor = await connection.execute(f"SELECT count(*) FROM {table}".encode())
            assert await cursor.fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(
                "INSERT INTO contacts (tenant_id, email) VALUES (gen_random_uuid(), 'a@example.org')"
            )


async def test_a_row_cannot_be_written_into_another_tenant(
    database: Database, new_tenant: Callable[..., Tenant]
) -> None:
    ours, theirs = new_tenant(), new_tenant()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.transaction(ours.id) as db:
            await db.execute("INSERT INTO contacts (tenant_id, email) VALUES (%s, 'a@example.org')", (theirs.id,))


async def test_the_tenant_ends_with_the_transaction(database: Database, new_tenant: Callable[..., Tenant]) -> None:
    await mark(database, tenant := new_tenant())
    async with database.transaction(tenant.id) as db:
        first = db.info.backend_pid
    async with database._pool.connection() as connection:
        if connection.info.backend_pid == first:
            cursor = await connection.execute("SELECT current_setting('app.tenant_id', true), current_user")
            assert await cursor.fetchone() == ("", "postgres")


async def test_a_reading_transaction_cannot_write(database: Database, new_tenant: Callable[..., Tenant]) -> None:
    tenant = new_tenant()
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        async with database.transaction(tenant.id, read_only=True) as db:
            await db.execute("INSERT INTO contacts (tenant_id, email) VALUES (%s, 'a@example.org')", (tenant.id,))
