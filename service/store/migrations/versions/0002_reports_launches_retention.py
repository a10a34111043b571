"""Every site report is kept; launches find their site over all tenants; what quarantine held leaves with time."""

from alembic import op

revision = "0002"
down_revision = "0001"

REPORTS = """
-- json, not jsonb: a report is shown in the order in which it was made.
create table site_reports (
  tenant text not null, site text not null, report_id text not null, report json not null,
  made timestamptz not null default now(),
  primary key (tenant, site, report_id));
alter table sites no force row level security;
insert into site_reports (tenant, site, report_id, report, made)
  select tenant, name, translate(report->'conformance'->>'checked_at', '-:', ''), cast(report->'conformance' as json),
    coalesce(checked_at, now())
  from sites where report->'conformance'->>'checked_at' is not null;
update sites set report = report - 'conformance' where report ? 'conformance';
alter table sites force row level security;
alter table site_reports enable row level security;
alter table site_reports force row level security;
create policy tenant_only on site_reports using (tenant = current_setting('app.tenant', true))
  with check (tenant = current_setting('app.tenant', true));
"""

LAUNCHES = """
-- One address, and only sites that the EHR with this address may open: what a launch names before its tenant is known.
create policy launch_lookup on sites for select
  using (config->>'fhir_base' = current_setting('app.launch_base', true) and config->>'auth' = 'ehr_launch');
"""

RETENTION = """
alter table quarantine add column left_at timestamptz, add column purged_at timestamptz;
alter table quarantine no force row level security;
update quarantine set left_at = now() where not current;
alter table quarantine force row level security;
"""

GRANTS = """
do $$ begin
  if exists (select from pg_roles where rolname = 'chartbrief_app') then
    grant select, insert, update, delete on site_reports to chartbrief_app;
  end if;
end $$
"""


def upgrade() -> None:
    for part in (REPORTS, LAUNCHES, RETENTION, GRANTS):
        op.execute(part)
