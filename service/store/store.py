"""The store: raw first, then entries, coverage, quarantine and the account of all, in one transaction.

Every method takes the tenant first, and row-level security stands behind it. All methods are synchronous; they raise
StoreUnavailable when the database cannot be reached, UnknownPatient and UnknownSite for what does not exist. The database
is opened at the first call: a store can be made while it is down, and recovers when it comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlalchemy import text

from models.record import SECTIONS, Section
from service.settings import Settings
from service.store.access import AccessKeys
from service.store.audit import AuditTrail
from service.store.client_keys import ClientKeys
from service.store.commit import Commits
from service.store.database import Database
from service.store.identity import Identities
from service.store.patients import Patients
from service.store.quality import Quality
from service.store.quality_runs import QualityRuns
from service.store.reading import Reading
from service.store.renormalizing import Renormalizing
from service.store.retention import Retention
from service.store.review import Review
from service.store.runs import Runs
from service.store.sealing import AwsKmsKeyProvider, FileKeyProvider, KeyProvider, Sealer
from service.store.words import now_iso


class Store(
    AccessKeys,
    AuditTrail,
    ClientKeys,
    Patients,
    Commits,
    Quality,
    QualityRuns,
    Reading,
    Renormalizing,
    Retention,
    Review,
    Runs,
    Identities,
):
    """All that Chartbrief remembers."""

    def __init__(
        self, settings: Settings, *, key_provider: KeyProvider | None = None, clock: Callable[[], str] = now_iso
    ) -> None:
        self.settings = settings
        self.database = Database(settings)
        self.clock = clock
        self.sealer = Sealer(key_provider or _provider(settings))
        self._internal_keys = {}
        self._token_locks = {}

    def close(self) -> None:
        """Close the connections."""
        self.database.close()

    def ping(self, tenant: str = "-") -> None:
        """Raise StoreUnavailable unless the database answers."""
        with self.database.transaction(tenant) as db:
            db.execute(text("select 1"))


def _provider(settings: Settings) -> KeyProvider:
    if settings.kms_key_id:
        import boto3

        return AwsKmsKeyProvider(settings.kms_key_id, boto3.client("kms", endpoint_url=settings.kms_endpoint_url))
    return FileKeyProvider(settings.master_key_file or settings.home / "master.key")


def sections_of(names: Iterable[str] | None) -> tuple[Section, ...]:
    """The named sections in the house's order; all when none are named."""
    wanted = set(names) if names is not None else None
    return tuple(s for s in SECTIONS if wanted is None or s in wanted)
