"""Dated quality reports of sites: counts only, kept for the trend."""

from alembic import op

revision = "0005_quality"
down_revision = "0004_review"

REPORTS = """
-- json, not jsonb: a report is shown in the order in which it was made.
create table quality_reports (
  tenant text not null, site text not null, report_id text not null, report json not null,
  made timestamptz not null default now(),
  primary key (tenant, site, report_id));
alter table quality_reports enable row level security;
alter table quality_reports force row level security;
create policy tenant_only on quality_reports using (tenant = current_setting('app.tenant', true))
  with check (tenant = current_setting('app.tenant', true));
"""

GRANTS = """
do $$ begin
  if exists (select from pg_roles where rolname = 'chartbrief_app') then
    grant select, insert, update, delete on quality_reports to chartbrief_app;
  end if;
end $$
"""


def upgrade() -> None:
    op.execute(REPORTS)
    op.execute(GRANTS)
