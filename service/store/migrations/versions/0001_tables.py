"""The tables, and row-level security behind the tenant."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
create table sites (
  tenant text not null, name text not null, config jsonb not null, state text not null default 'new',
  detail text not null default '', report jsonb, checked_at timestamptz,
  primary key (tenant, name));
create table patients (
  tenant text not null, patient_id text not null, created timestamptz not null default now(),
  primary key (tenant, patient_id));
create table patient_links (
  tenant text not null, site text not null, site_patient_id text not null, patient_id text not null,
  primary key (tenant, site, site_patient_id));
create unique index patient_links_one on patient_links (tenant, patient_id, site);
create table raw (
  tenant text not null, site text not null, resource_type text not null, resource_id text not null,
  version_key text not null, version text not null, content_hash text not null, content bytea not null,
  fhir_version text not null, api text not null, first_retrieved text not null, retrieved text not null,
  primary key (tenant, site, resource_type, resource_id, version_key));
create table membership (
  tenant text not null, patient_id text not null, site text not null, section text not null,
  resource_type text not null, resource_id text not null, version_key text not null,
  primary key (tenant, patient_id, site, section, resource_type, resource_id));
create table entries (
  tenant text not null, patient_id text not null, site text not null, section text not null, entry_id text not null,
  body jsonb not null,
  primary key (tenant, patient_id, site, entry_id));
create table coverage (
  tenant text not null, patient_id text not null, site text not null, section text not null,
  body jsonb not null, good_as_of text not null default '',
  primary key (tenant, patient_id, site, section));
create table ledgers (
  tenant text not null, patient_id text not null, site text not null, body jsonb not null,
  primary key (tenant, patient_id, site));
create table quarantine (
  id bigserial primary key, tenant text not null, patient_id text not null, site text not null, section text,
  reason text not null, detail text not null, resource_type text not null, resource_id text not null,
  source text not null, content bytea not null, content_hash text not null, current boolean not null default true,
  received timestamptz not null default now(),
  unique (tenant, patient_id, site, reason, resource_type, resource_id, content_hash));
create table missing (
  tenant text not null, patient_id text not null, site text not null, section text not null, reference text not null,
  reason text not null, count integer not null);
create index missing_patient on missing (tenant, patient_id, site);
create table runs (
  tenant text not null, run_id text not null, patient_id text not null, state text not null, report jsonb,
  started timestamptz not null default now(), finished timestamptz,
  primary key (tenant, run_id));
create table audit (
  tenant text not null, seq bigint not null, at timestamptz not null default now(), actor text not null,
  action text not null, outcome text not null, patient_id text, previous text not null, hash text not null,
  primary key (tenant, seq));
create table secrets (
  tenant text not null, site text not null, name text not null, sealed bytea not null,
  primary key (tenant, site, name));
create table api_keys (
  key_id text primary key, tenant text not null, role text not null, label text not null, secret_hash text not null,
  created timestamptz not null default now(), revoked timestamptz);
"""

ISOLATED = ["sites", "patients", "patient_links", "raw", "membership", "entries", "coverage", "ledgers", "quarantine", "missing", "runs", "audit", "secrets"]


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(
        "do $$ begin if not exists (select from pg_roles where rolname = 'chartbrief_app') "
        "then create role chartbrief_app nologin; end if; end $$"
    )
    op.execute("grant chartbrief_app to current_user")
    op.execute("grant usage on schema public to chartbrief_app")
    op.execute("grant select, insert, update, delete on all tables in schema public to chartbrief_app")
    op.execute("grant usage on all sequences in schema public to chartbrief_app")
    op.execute("revoke update, delete on audit from chartbrief_app")
    for table in ISOLATED:
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy tenant_only on {table} using (tenant = current_setting('app.tenant', true)) "
            "with check (tenant = current_setting('app.tenant', true))"
        )
