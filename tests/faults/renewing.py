"""A process that refreshes one patient at one site, for the test that kills it: renewing.py HOME URL PATIENT SITE RUN."""

import sys
from pathlib import Path

from service.settings import Settings
from service.store import Store
from service.workflows.site_work import refresh_site

home, url, patient, site, run = sys.argv[1:]
refresh_site(Store(Settings(home=Path(home), database_url=url)), "t1", run, patient, site)
