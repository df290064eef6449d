"""The three servers in containers, where a Docker engine answers: nothing of the machine's own is used then."""

from collections.abc import Iterator
from contextlib import contextmanager

from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from deploy.stack.servers import Postgres, RabbitMQ, Redis, Servers


@contextmanager
def containers() -> Iterator[Servers]:
    """Postgres, RabbitMQ with its management, and Redis, gone after the block."""
    postgres = (
        DockerContainer("postgres:17-alpine")
        .with_env("POSTGRES_PASSWORD", "test")
        .with_exposed_ports(5432)
        # the image starts twice: once to make the database, once to serve it
        .waiting_for(LogMessageWaitStrategy("ready to accept connections", times=2))
    )
    rabbitmq = (
        DockerContainer("rabbitmq:4-management-alpine")
        .with_exposed_ports(5672, 15672, 15692)
        .waiting_for(LogMessageWaitStrategy("Server startup complete"))
    )
    redis = (
        DockerContainer("redis:7-alpine")
        .with_exposed_ports(6379)
        .waiting_for(LogMessageWaitStrategy("Ready to accept connections"))
    )
    with postgres, rabbitmq, redis:

        def at(container: DockerContainer, port: int) -> str:
            return f"{container.get_container_host_ip()}:{container.get_exposed_port(port)}"

        url = f"postgresql://postgres:test@{at(postgres, 5432)}/postgres"
        amqp, management = f"amqp://guest:guest@{at(rabbitmq, 5672)}/", f"http://guest:guest@{at(rabbitmq, 15672)}"
        broker = RabbitMQ(amqp, management, None, f"http://{at(rabbitmq, 15692)}")
        yield Servers(Postgres(url, url, None), broker, Redis(f"redis://{at(redis, 6379)}", None))
