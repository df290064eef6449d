"""Settings every service has: environment variables `ORDERBUS_…`, each also readable from a file `ORDERBUS_…_FILE`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

PREFIX = "ORDERBUS_"


@contextmanager
def told_in_words() -> Iterator[None]:
    """What is missing or wrong ends the process with the names of the variables, without their values and a traceback."""
    try:
        yield
    except ValidationError as error:
        raise SystemExit("\n".join(map(_in_words, error.errors(include_input=False)))) from None
    except SettingsError as error:  # text that is no JSON, a file that is not there
        raise SystemExit(f"{error}: {error.__cause__}") from None


def _in_words(wrong: Any) -> str:
    name, *within = wrong["loc"] or ("settings",)
    variable = f"{PREFIX}{name.upper()}"
    if wrong["type"] == "missing" and not within:
        return f"{variable} is not set"
    return f"{'.'.join(map(str, (variable, *within)))}: {wrong['msg']}"


class _FileSource(EnvSettingsSource):
    """`ORDERBUS_X_FILE=/run/secrets/x` gives X the file's content: how Docker and Kubernetes hand over secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        return (Path(path).read_text().strip() if path else None), field_name, False


class Settings(BaseSettings):
    """What every service is told from outside. A service with settings of its own extends it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True)

    postgres_url: SecretStr = Field(
        description="The service's own role and database: postgresql://role:password@host:port/database."
    )
    rabbitmq_url: SecretStr = Field(description="amqp:// or amqps:// URL with the service's own user.")
    redis_url: SecretStr | None = Field(
        None, description="redis:// or rediss:// URL, for rate limits; without it, or when it is gone, nothing is limited."
    )
    tls_ca: str | None = Field(
        None,
        description="File of the CA that Postgres, RabbitMQ (amqps://) and Redis (rediss://) have their certificates from. "
        "Set, Postgres must speak TLS and its name is checked, unless `sslmode` in its URL says otherwise. "
        "Partners and the issuer of tokens may have theirs from it too, or from any the machine believes.",
    )
    rate_limit_per_minute: int = Field(
        300_000, ge=0, description="Requests a minute that a token's subject, or an address without one, may send; 0: any number."
    )
    host: str = Field("127.0.0.1", description="Address the HTTP API listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the HTTP API listens on.")
    auth_jwks: str = Field(description="Public keys that bearer tokens are checked with: path, or https:// address, of a JWKS.")
    auth_issuer: str = Field("orderbus", description="The `iss` a bearer token must carry.")
    auth_audience: str = Field("orderbus", description="The `aud` a bearer token must carry.")
    pool_size: int = Field(8, ge=2, description="Connections to Postgres per process.")
    prefetch: int = Field(100, ge=1, description="Messages in hand per queue and process; a message may hold many events.")
    batch_events: int = Field(
        1_000, ge=1, description="A transaction takes no further message once it has so many events; a message may hold many."
    )
    partner_calls: int = Field(64, ge=1, le=1000, description="Calls to a partner that a process has under way at a time.")
    inbox_days: int = Field(
        30, ge=2, le=37, description="Days for which an event that comes again is known to have been handled."
    )
    idempotency_days: int = Field(7, ge=1, description="Days for which a repeated Idempotency-Key gets the first answer again.")
    command_timeout: float = Field(30, gt=0, description="Seconds a statement may take before it is given up.")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    otlp_endpoint: str | None = Field(
        None, description="Base URL of an OTLP collector, such as http://collector:4318; without one no spans are recorded."
    )
    otlp_protocol: Literal["http/protobuf", "grpc"] = Field(
        "http/protobuf", description="How the collector is spoken to: http/protobuf (its port is mostly 4318) or grpc (4317)."
    )
    trace_ratio: float = Field(1.0, ge=0, le=1, description="Share of orders that are traced when there is a collector.")
    traces_per_second: float = Field(
        10,
        ge=0,
        description="At most so many traces a second begin in a process, whatever the share; of what failed or is slow, and "
        "was not traced, as many again.",
    )
    trace_slow_seconds: float = Field(
        5, gt=0, description="A request, a call to a partner, or an event's wait that takes longer is recorded in any case."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _FileSource(settings_cls)
