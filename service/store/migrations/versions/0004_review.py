"""The review queue, decisions about codes, and re-normalization."""

from alembic import op

revision = "0004_review"
down_revision = "0003_identity"

TABLES = """
-- Which codes and wordings of a patient at a site are open or were decided, counted when the patient is normalized.
create table open_codes (
  tenant text not null, site text not null, key_id text not null, patient_id text not null,
  domain text not null, system text not null, code text not null, wording text not null, unit text not null,
  section text not null, how text not null, entries integer not null, entry_id text not null,
  primary key (tenant, site, key_id, patient_id));
create index open_codes_patient on open_codes (tenant, patient_id, site);
-- What was decided about a key, version by version; the newest counts. A row is never changed.
create table code_decisions (
  tenant text not null, site text not null, key_id text not null, version integer not null,
  domain text not null, system text not null, code text not null, wording text not null, unit text not null,
  verdict text not null check (verdict in ('accepted', 'no_target', 'open', 'withdrawn')),
  target_system text not null default '', target_code text not null default '', display text not null default '',
  equivalence text not null, confidence double precision not null,
  effective_from text not null default '', effective_to text not null default '',
  rejected jsonb not null default '[]', author text not null, note text not null, decided_at text not null,
  primary key (tenant, site, key_id, version));
create table renormalizations (
  tenant text not null, run_id text not null, of_site text not null, of_patient text not null, of_key text not null,
  apply boolean not null, actor text not null, state text not null, patients integer not null default 0,
  report jsonb, started timestamptz not null default now(), finished timestamptz,
  primary key (tenant, run_id));
-- One row for each patient and site that a run has dealt with; written with what it changed, in one transaction.
create table renormalized (
  tenant text not null, run_id text not null, patient_id text not null, site text not null, outcome jsonb not null,
  ended timestamptz not null default now(),
  primary key (tenant, run_id, patient_id, site));
-- By which code and which tables the entries of a patient at a site were made, and when.
alter table ledgers add column versions jsonb not null default '{}', add column read_at timestamptz;
"""

GRANTS = """
do $$ begin
  if exists (select from pg_roles where rolname = 'chartbrief_app') then
    grant select, insert, update, delete on open_codes, renormalizations, renormalized to chartbrief_app;
    grant select, insert on code_decisions to chartbrief_app;
  end if;
end $$
"""

APPEND_ONLY = """
create function chartbrief_decisions_stay() returns trigger language plpgsql as $$
begin raise exception 'decisions are append-only' using errcode = 'insufficient_privilege'; end $$;
create trigger code_decisions_stay before update or delete or truncate on code_decisions
  for each statement execute function chartbrief_decisions_stay();
"""

UNFINISHED = """
-- What a start takes up again, whoever it belongs to, before a tenant is known: only runs that have not ended.
create policy unfinished_lookup on renormalizations for select
  using (finished is null and current_setting('app.unfinished', true) = 'on');
"""


def upgrade() -> None:
    for part in (TABLES, GRANTS, APPEND_ONLY):
        op.execute(part)
    rows = "tenant = current_setting('app.tenant', true)"
    for table in ("open_codes", "code_decisions", "renormalizations", "renormalized"):
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(f"create policy tenant_only on {table} using ({rows}) with check ({rows})")
    op.execute(UNFINISHED)
