"""Every setting and limit of the service, in one place. Environment: `CHARTBRIEF_<NAME>`; `DATABASE_URL` for the store."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of one process."""

    model_config = SettingsConfigDict(env_prefix="CHARTBRIEF_", extra="ignore", frozen=True)

    home: Path = Field(default=Path(".chartbrief"), description="Local data: embedded database, key file.")
    database_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("DATABASE_URL", "CHARTBRIEF_DATABASE_URL", "database_url"),
        description="PostgreSQL to use; without it an embedded server runs under `home`.",
    )
    tenant: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="Tenant of CLI commands.")
    master_key_file: Path | None = Field(
        default=None, description="Key file; default: `home`/master.key, made with mode 0600."
    )
    kms_key_id: str | None = Field(
        default=None, description="AWS KMS key that wraps data keys, instead of the key file."
    )
    kms_endpoint_url: str | None = Field(default=None, description="KMS endpoint, for private endpoints.")
    pool_size: int = Field(default=5, gt=0, description="Database connections kept by this process.")
    statement_seconds: float = Field(default=30.0, gt=0, description="A database statement is cancelled after this.")
    max_body_bytes: int = Field(default=2_000_000, gt=0, description="Largest request body the API reads.")
    session_minutes: int = Field(default=30, gt=0, description="How long a browser session lasts.")
    raw_retention_days: int = Field(default=365, gt=0, description="How long replaced raw versions are kept.")
    refresh_concurrency: int = Field(default=4, gt=0, description="Refreshes that run side by side in this process.")
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
