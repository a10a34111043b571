"""How sites come to know us and let us in: keys, secrets, and the sign-ins of people at a site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from adapters.errors import AdapterError, ConfigurationError, LaunchRefused
from service.api.problems import Problem
from service.settings import Settings
from service.store import Store, StoreUnavailable, UnknownPatient, UnknownSite
from service.store.client_keys import RotationRefused, Step
from service.store.sealing import SealError

if TYPE_CHECKING:
    from service.workflows.connecting import Arrival, Connecting, Departure

MOST_SECRET = 1000


class Connections:
    """What connecting a site needs. Whoever inherits has the store and the settings."""

    settings: Settings

    @property
    def store(self) -> Store:
        """The open store."""
        raise Problem("unavailable")

    def public_keys(self, tenant: str, site: str) -> dict[str, Any]:
        """The JWKS to which a vendor's registration may point; a site without keys is no site to a stranger."""
        with _refusals():
            keys = self.store.public_keys(tenant, site)
        if not keys:
            raise Problem("not_found")
        return {"keys": keys}

    def rotate_key(self, tenant: str, site: str, step: Step) -> dict[str, Any]:
        """One step of a rotation; the keys that are published after it, the one that signs first."""
        with _refusals():
            config = self.store.site(tenant, site)
            if not config.needs_key:
                raise Problem("conflict", "this site knows us by no key")
            try:
                self.store.rotate_client_key(tenant, site, step, config.profile().key_algorithm)
            except RotationRefused as error:
                raise Problem("conflict", str(error)) from None
            return {"site": site, "signs": self.store.client_key(tenant, site).kid} | {
                "jwks": {"keys": self.store.public_keys(tenant, site)}
            }

    def put_client_secret(self, tenant: str, site: str, secret: str) -> None:
        """Seal the secret that the site gave us."""
        from service.workflows.opening import CLIENT_SECRET

        if not secret or len(secret) > MOST_SECRET or not secret.isprintable():
            raise Problem("invalid_request", "a client secret is a line of printable characters")
        with _refusals():
            if self.store.site(tenant, site).client_auth != "client_secret":
                raise Problem("conflict", 'the site file does not say client_auth = "client_secret"')
            self.store.put_secret(tenant, site, CLIENT_SECRET, secret.encode())

    def connect_address(self, tenant: str, site: str, patient_id: str = "") -> str:
        """What a person opens to authorize a site."""
        with _refusals():
            return self._connecting().address(tenant, site, patient_id)

    def disconnect(self, tenant: str, site: str, patient_id: str = "") -> dict[str, Any]:
        """Revoke and forget authorizations that people gave."""
        with _refusals():
            if not self.store.site(tenant, site).launches:
                raise Problem("conflict", "nobody signs in at this site: there is nothing to disconnect")
            return self._connecting().disconnect(tenant, site, patient_id)

    def start_by_ticket(self, ticket: str) -> Departure:
        """Follow the address of `connect_address`."""
        with _refusals():
            return self._connecting().start(ticket)

    def start_from_ehr(self, iss: str, launch: str) -> Departure:
        """The EHR opened us, at the address that all tenants share."""
        with _refusals():
            return self._connecting().launch(iss, launch)

    def start_at_site(self, tenant: str, site: str, iss: str, launch: str) -> Departure:
        """The EHR opened us, at the address of one site."""
        with _refusals():
            return self._connecting().launch_at(tenant, site, iss, launch)

    def framed_by(self, answer: Mapping[str, str], cookies: Mapping[str, str]) -> tuple[str, ...]:
        """The origins whose pages may show what comes of this answer."""
        with _refusals():
            return self._connecting().framed_by(answer, cookies)

    def arrive(self, answer: Mapping[str, str], cookies: Mapping[str, str]) -> Arrival:
        """The browser is back from a site."""
        with _refusals():
            return self._connecting().finish(answer, cookies)

    def _connecting(self) -> Connecting:
        from service.workflows.connecting import Connecting

        return Connecting(self.store)


@contextmanager
def _refusals() -> Iterator[None]:
    """What the store and a site refuse, as problems."""
    from service.workflows.connecting import TooManyLaunches

    try:
        yield
    except TooManyLaunches:
        raise Problem("rate_limited", "Too many sign-ins are under way.", headers={"Retry-After": "60"}) from None
    except LaunchRefused as error:
        raise Problem(
            "authorization_refused", f"{str(error)[:1].upper()}{str(error)[1:]}.", reason=error.code
        ) from None
    except ConfigurationError as error:
        raise Problem("site_refused", str(error), reason=error.code, action=error.action) from None
    except AdapterError as error:
        raise Problem("site_refused", reason=error.code, action=error.action) from None
    except UnknownPatient:
        raise Problem("unknown_patient") from None
    except UnknownSite:
        raise Problem("unknown_site") from None
    except StoreUnavailable as error:
        raise Problem("unavailable", headers={"Retry-After": str(error.retry_after)}) from None
    except SealError:
        raise Problem("unavailable", "the stored secrets cannot be opened with the configured master key") from None
