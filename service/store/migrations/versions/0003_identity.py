"""Identity: pairs of records a steward decides about, and the history of links."""

from alembic import op

revision = "0003_identity"
down_revision = "0002"

TABLES = """
-- A pair of records of two sites (or of one), the smaller (site, id) first. Never deleted: what was decided stays.
create table identity_pairs (
  tenant text not null, pair_id text not null,
  site_a text not null, id_a text not null, site_b text not null, id_b text not null,
  state text not null check (state in ('open', 'accepted', 'rejected', 'withdrawn')),
  decision text not null, weight double precision not null, score double precision not null,
  codes text[] not null, reason text not null, found_at timestamptz not null default now(),
  decided_at timestamptz, decided_by text not null default '', note text not null default '',
  primary key (tenant, pair_id));
create index identity_pairs_open on identity_pairs (tenant, state, score desc);
-- Which record of which site went from which patient to which, and why. Only ever added to.
create table identity_history (
  tenant text not null, seq bigserial not null, at timestamptz not null default now(), actor text not null,
  action text not null check (action in ('link', 'unlink')), site text not null, site_patient_id text not null,
  from_patient text not null, to_patient text not null, pair_id text not null default '', note text not null default '',
  primary key (tenant, seq));
create index identity_history_record on identity_history (tenant, site, site_patient_id);
"""
GRANTS = """
do $$ begin
  if exists (select from pg_roles where rolname = 'chartbrief_app') then
    grant select, insert, update on identity_pairs to chartbrief_app;
    grant select, insert on identity_history to chartbrief_app;
    grant usage on all sequences in schema public to chartbrief_app;
  end if;
end $$
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(GRANTS)
    for table in ("identity_pairs", "identity_history"):
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        rows = "tenant = current_setting('app.tenant', true)"
        op.execute(f"create policy tenant_only on {table} using ({rows}) with check ({rows})")
