"""A FHIR R4 server on loopback that wears a vendor's habits, with faults on demand: for demo, tests and rehearsal.

    hospital = Hospital(key="north", dress="generic", resources=[...], clients={"client-1": [public_jwk]})
    with PracticeEhr(hospital) as ehr:
        ehr.base_url, ehr.faults.set(Fault(kind="status", resource_type="Observation", status=429, retry_after="2"))

Dresses are data in `dresses/`; `faults.py` lists what can go wrong.
"""

from service.practice_ehr.dress import Dress, dress_names, load_dress
from service.practice_ehr.faults import Fault, Faults
from service.practice_ehr.hospital import App, Hospital, PracticeDataError, load_folder
from service.practice_ehr.run import PracticeEhr, PracticeEhrs, built_in_hospital, run, serve
from service.practice_ehr.server import Seen, create_app

__all__ = [
    "App",
    "Dress",
    "Fault",
    "Faults",
    "Hospital",
    "PracticeDataError",
    "PracticeEhr",
    "PracticeEhrs",
    "Seen",
    "built_in_hospital",
    "create_app",
    "dress_names",
    "load_dress",
    "load_folder",
    "run",
    "serve",
]
