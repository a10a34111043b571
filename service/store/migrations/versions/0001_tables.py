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

-- What a site sent, byte by byte. A row is never changed: another content is another row.
create table raw (
  tenant text not null, site text not null, resource_type text not null, resource_id text not null,
  content_hash text not null, version text not null, content bytea not null, size integer not null,
  fhir_version text not null, api text not null, retrieved text not null,
  stored_at timestamptz not null default now(),
  primary key (tenant, site, resource_type, resource_id, content_hash));
create index raw_age on raw using brin (stored_at);
-- Which resources a section of a patient consists of now, and which it has lost (gone_at).
create table membership (
  tenant text not null, patient_id text not null, site text not null, section text not null,
  resource_type text not null, resource_id text not null, content_hash text not null,
  seen_at timestamptz not null, gone_at timestamptz,
  primary key (tenant, patient_id, site, section, resource_type, resource_id));
-- Least selective last: no query by patient can mistake this index for its own while there are no statistics.
create index membership_resource on membership (resource_id, resource_type, site, tenant);
create table entries (
  tenant text not null, patient_id text not null, site text not null, section text not null, entry_id text not null,
  body jsonb not null, body_hash text not null,
  primary key (tenant, patient_id, site, entry_id));
create index entries_people on entries (tenant, patient_id) where section = 'demographics';
create table coverage (
  tenant text not null, patient_id text not null, site text not null, section text not null,
  body jsonb not null, good_as_of text not null default '', asked_at timestamptz not null,
  primary key (tenant, patient_id, site, section));
create index coverage_site on coverage (site, tenant, good_as_of);
create table ledgers (
  tenant text not null, patient_id text not null, site text not null, body jsonb not null,
  read_with text not null,
  primary key (tenant, patient_id, site));
create table quarantine (
  id bigserial primary key, tenant text not null, patient_id text not null, site text not null,
  stage text not null check (stage in ('fetch', 'read')), section text not null,
  reason text not null, detail text not null, resource_type text not null, resource_id text not null,
  source text not null, content bytea not null, content_hash text not null, current boolean not null default true,
  received timestamptz not null default now());
create unique index quarantine_one on quarantine
  (tenant, patient_id, site, stage, section, reason, resource_type, md5(resource_id), md5(source), content_hash);
create table missing (
  tenant text not null, patient_id text not null, site text not null, section text not null, reference text not null,
  reason text not null, count integer not null);
create unique index missing_one on missing (tenant, patient_id, site, section, md5(reference), md5(reason));
create table runs (
  tenant text not null, run_id text not null, patient_id text not null, state text not null, request text not null,
  sites text[] not null, sections integer not null, report jsonb,
  started timestamptz not null default now(), finished timestamptz,
  primary key (tenant, run_id));
create unique index runs_under_way on runs (tenant, request) where finished is null;
create table run_sites (
  tenant text not null, run_id text not null, site text not null, report jsonb not null,
  ended timestamptz not null default now(),
  primary key (tenant, run_id, site));
create table run_sections (
  tenant text not null, run_id text not null, site text not null, section text not null, state text not null,
  offered integer not null, stored integer not null, quarantined integer not null, missing integer not null,
  gone integer not null, requests integer not null, ended timestamptz not null default now(),
  check (offered = stored + quarantined + missing),
  primary key (tenant, run_id, site, section));
create table audit (
  tenant text not null, seq bigint not null, at text not null, actor text not null,
  action text not null, outcome text not null, patient_id text, previous text not null, hash text not null,
  primary key (tenant, seq));
create table audit_heads (
  tenant text not null primary key, seq bigint not null, hash text not null, mac text not null);
create table secrets (
  tenant text not null, site text not null, name text not null, sealed bytea not null,
  primary key (tenant, site, name));
create table api_keys (
  key_id text primary key, tenant text not null, role text not null, label text not null, secret_hash text not null,
  mac text not null, created timestamptz not null default now(), revoked timestamptz);
"""

ROLE = """
do $$ begin
  if not exists (select from pg_roles where rolname = 'chartbrief_app') then
    create role chartbrief_app nologin;
  end if;
  grant chartbrief_app to current_user;  -- who creates a role may not yet become it (PostgreSQL 16 and later)
exception
  when duplicate_object or unique_violation then null;  -- another database of this server made it just now
  when insufficient_privilege then null;  -- a managed database: the tables' owner is then held by FORCE
end $$
"""

GRANTS = """
do $$ begin
  if exists (select from pg_roles where rolname = 'chartbrief_app') then
    grant usage on schema public to chartbrief_app;
    grant select, insert, update, delete on all tables in schema public to chartbrief_app;
    grant usage on all sequences in schema public to chartbrief_app;
    revoke update, delete on audit from chartbrief_app;
    revoke update on raw from chartbrief_app;
  end if;
end $$
"""

APPEND_ONLY = """
create function chartbrief_append_only() returns trigger language plpgsql as $$
begin raise exception 'the audit trail is append-only' using errcode = 'insufficient_privilege'; end $$;
create trigger audit_append_only before update or delete or truncate on audit
  for each statement execute function chartbrief_append_only();
"""

ISOLATED = [
    "sites",
    "patients",
    "patient_links",
    "raw",
    "membership",
    "entries",
    "coverage",
    "ledgers",
    "quarantine",
    "missing",
    "runs",
    "run_sites",
    "run_sections",
    "audit",
    "audit_heads",
    "secrets",
]


def upgrade() -> None:
    for part in (TABLES, ROLE, GRANTS, APPEND_ONLY):
        op.execute(part)
    for table in ISOLATED:
        _isolate(table, "tenant = current_setting('app.tenant', true)")
    _isolate("api_keys", "tenant = current_setting('app.tenant', true) or key_id = current_setting('app.key_id', true)")


def _isolate(table: str, rows: str) -> None:
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"alter table {table} force row level security")
    op.execute(f"create policy tenant_only on {table} using ({rows}) with check ({rows})")
