"""Runs that measure the quality of a whole site, and the look-up of what is due."""

from alembic import op

revision = "0006_quality_runs"
down_revision = "0005_quality"

RUNS = """
-- counts: the sum so far, of all patients up to last_patient (in the order of our ids); counts only.
create table quality_runs (
  tenant text not null, run_id text not null, site text not null, actor text not null, as_of text not null,
  state text not null, patients integer not null default 0, total integer not null, last_patient text not null default '',
  counts json not null default '[]', report_id text not null default '', error text not null default '',
  alerts json not null default '[]', started timestamptz not null default now(), finished timestamptz,
  primary key (tenant, run_id));
create unique index quality_runs_under_way on quality_runs (tenant, site) where finished is null;
create index quality_runs_of_site on quality_runs (tenant, site, started);
alter table quality_runs enable row level security;
alter table quality_runs force row level security;
create policy tenant_only on quality_runs using (tenant = current_setting('app.tenant', true))
  with check (tenant = current_setting('app.tenant', true));
-- What a process takes up or begins by itself, whoever it belongs to, before a tenant is known: runs, and sites with a schedule.
create policy unfinished_lookup on quality_runs for select using (current_setting('app.unfinished', true) = 'on');
create policy schedule_lookup on sites for select
  using (config->>'quality_every_hours' is not null and current_setting('app.unfinished', true) = 'on');
"""

GRANTS = """
do $$ begin
  if exists (select from pg_roles where rolname = 'chartbrief_app') then
    grant select, insert, update, delete on quality_runs to chartbrief_app;
  end if;
end $$
"""


def upgrade() -> None:
    op.execute(RUNS)
    op.execute(GRANTS)
