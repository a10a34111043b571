"""Every setting and limit of the service, in one place. Environment: `CHARTBRIEF_<NAME>`; `DATABASE_URL` for the store."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of one process."""

    model_config = SettingsConfigDict(env_prefix="CHARTBRIEF_", extra="ignore", frozen=True)

    home: Path = Field(default=Path(".chartbrief"), description="Local data: embedded database, key file.")
    tenant: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="Tenant of CLI commands.")

    # The database
    database_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("DATABASE_URL", "CHARTBRIEF_DATABASE_URL", "database_url"),
        description="PostgreSQL to use; without it an embedded server runs under `home`.",
    )
    pool_size: int = Field(
        default=5, gt=0, description="Database connections kept by this process; twice as many under load."
    )
    pool_wait_seconds: float = Field(
        default=10.0, gt=0, description="A call that gets no connection for so long is answered 'unavailable'."
    )
    connect_seconds: int = Field(
        default=10, gt=0, description="A new connection to the database is given up after this."
    )
    statement_seconds: float = Field(
        default=30.0, gt=0, description="A database statement, or its wait for a lock, is cancelled after this."
    )

    # Secrets at rest
    master_key_file: Path | None = Field(
        default=None, description="Key file; default: `home`/master.key, made with mode 0600."
    )
    kms_key_id: str | None = Field(
        default=None, description="AWS KMS key that wraps data keys, instead of the key file."
    )
    kms_endpoint_url: str | None = Field(default=None, description="KMS endpoint, for private endpoints.")

    # Requests
    max_body_bytes: int = Field(default=2_000_000, gt=0, description="Largest request body the API reads.")
    session_minutes: int = Field(default=30, gt=0, description="How long a browser session lasts.")

    # Record and refresh
    raw_retention_days: int = Field(
        default=365,
        gt=0,
        description="How long resource versions and quarantined bytes are kept after they left the chart, and old "
        "site reports; a site file may say otherwise.",
    )
    workflow_retention_days: int = Field(
        default=30, gt=0, description="How long the steps of finished refreshes are kept; their reports stay."
    )
    refresh_concurrency: int = Field(
        default=8,
        gt=0,
        description="Sites read side by side in this process; at one site patients are read one after the other, so that "
        "its own limits hold. The others wait in the queue.",
    )

    # Terminology
    rxnav_url: str | None = Field(
        default=None,
        description="RxNav to ask for drug codes that no import knows (https://rxnav.nlm.nih.gov). None: nothing leaves. "
        "Only codes are sent, and only by `terminology rxnav`.",
    )
    rxnav_days: int = Field(default=30, gt=0, description="An answer of RxNav is asked for again after so many days.")

    # The language model
    model_id: str | None = Field(
        default=None, description="Bedrock model that writes summaries; None: the record alone."
    )
    model_region: str = Field(default="us-east-1", description="AWS region of the model.")
    model_endpoint_url: str | None = Field(
        default=None, description="Bedrock endpoint, for private endpoints and rehearsal."
    )
    model_baa_declared: bool = Field(
        default=False, description="A BAA covers the model's provider. Without it no PHI goes there."
    )
    model_provider: str | None = Field(
        default=None, description="Maker of the model (anthropic, amazon, ...); needed where `model_id` is an ARN."
    )
    model_seconds: float = Field(
        default=60.0,
        gt=0,
        le=600,
        description="A summary waits so long for the model, retries included; then: the record.",
    )
    model_attempts: int = Field(default=2, ge=1, le=5, description="Tries at the model within `model_seconds`.")
    model_max_tokens: int = Field(default=4096, gt=0, description="Longest answer of the model.")
    model_prompt_cache: bool = Field(
        default=False, description="Mark the end of the record as a cache point, for models that support it."
    )
