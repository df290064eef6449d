"""Postgres, RabbitMQ and Redis from outside: their own commands, and signals."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from typing import Any

import aio_pika
import asyncpg
import psutil

from deploy.rabbitmq import topology
from deploy.services import SERVICES
from deploy.stack import processes
from deploy.stack.servers import start_servers
from deploy.stack.state import StackFolder


class Servers:
    """The private servers of one stack."""

    def __init__(self, folder: StackFolder, addresses: Mapping[str, Any]) -> None:
        self._folder = folder
        self.postgres_url = str(addresses["postgres"]["superuser_url"])
        self.rabbitmq_url = str(addresses["rabbitmq"]["url"])

    @cached_property
    def _tools(self) -> dict[str, str]:
        return _environment_of(self._folder, "rabbitmq")

    def kill(self, server: str) -> None:
        """At once, with nothing put in order: what is left of it is what was on the disk."""
        process = processes.recorded(self._folder, server)
        assert process is not None, f"{server} does not run as a process of ours"
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGQUIT if server == "postgres" else signal.SIGKILL)  # QUIT: immediate shutdown

    async def start(self) -> None:
        """Whatever is missing comes back on its data and its port, and answers."""
        await asyncio.to_thread(start_servers, self._folder.path)

    @asynccontextmanager
    async def without(self, server: str) -> AsyncIterator[None]:
        """In the block it is dead."""
        self.kill(server)
        try:
            yield
        finally:
            await self.start()

    @asynccontextmanager
    async def without_memory(self) -> AsyncIterator[None]:
        """In the block RabbitMQ is out of memory and blocks whoever publishes."""
        await self.rabbitmqctl("set_vm_memory_high_watermark", "0.000001")
        try:
            yield
        finally:
            await self.rabbitmqctl("set_vm_memory_high_watermark", "0.4")

    @asynccontextmanager
    async def locked(self, *tables: str) -> AsyncIterator[None]:
        """In the block nobody else gets a row of these tables."""
        async with self.connection() as connection, connection.transaction():
            await connection.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
            yield

    async def rabbitmqctl(self, *arguments: str) -> str:
        """RabbitMQ's own tool, on our own node."""
        program = "/usr/lib/rabbitmq/bin/rabbitmqctl"
        if not os.access(program, os.X_OK):
            program = shutil.which("rabbitmqctl", path=self._tools["PATH"]) or program
        command = [program, "-n", self._tools["RABBITMQ_NODENAME"], "--quiet", *arguments]
        answer = await asyncio.to_thread(
            subprocess.run, command, env=self._tools, capture_output=True, text=True, check=False, timeout=60
        )
        assert answer.returncode == 0, f"rabbitmqctl {' '.join(arguments)}: {answer.stdout}{answer.stderr}"
        return str(answer.stdout)

    async def sql(self, *statements: str) -> None:
        """Each as the superuser, outside any transaction."""
        async with self.connection() as connection:
            await connection.execute("SET default_transaction_read_only = off")
            for statement in statements:
                await connection.execute(statement)

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """Rows, as the superuser."""
        async with self.connection() as connection:
            return list(await connection.fetch(query, *args))

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """The superuser's, for the block."""
        connection = await asyncpg.connect(self.postgres_url, timeout=10, command_timeout=30)
        try:
            yield connection
        finally:
            await connection.close()

    async def declare_topology(self) -> None:
        """Exchanges, queues and bindings as they are declared before any service starts."""
        await topology.declare(self.rabbitmq_url, SERVICES.values())

    async def consumers(self) -> dict[str, int]:
        """How many hear each queue of the services."""
        async with await aio_pika.connect(self.rabbitmq_url, timeout=10) as connection:
            channel = await connection.channel()
            found = {}
            for name in queues():
                declared = await channel.declare_queue(name, passive=True)
                found[name] = int(declared.declaration_result.consumer_count or 0)
            return found


def queues() -> list[str]:
    """Every queue that a service hears."""
    return [f"{name}.{event_type}" for name, service in SERVICES.items() for event_type in service.handlers]


def _environment_of(folder: StackFolder, role: str) -> dict[str, str]:
    process = processes.recorded(folder, role)
    assert process is not None, f"{role} does not run as a process of ours: install the servers' own programs"
    return psutil.Process(process.pid).environ()
