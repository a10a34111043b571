"""The error tree of the adapters. Each error says what to do about it; none carries a patient's data or a full URL.

AdapterError
├── ConfigurationError     configure     a site file, profile or key is wrong
│   └── EgressRefused      configure     an address no call may go to
├── AuthorizationError     reauthorize   the site does not accept our credentials (any more)
│   ├── ScopeRefused       configure     it accepts them, but not for this resource type
│   └── LaunchRefused      reauthorize   a person's sign-in at the site did not end in an authorization
├── NotSupported           report        the site does not expose it
├── SiteUnavailable        retry         timeouts, resets, 429 and 5xx after the bounded tries
└── BadAnswer              report        an answer that cannot be used: HTML, truncated JSON, too large, a paging loop
"""

from __future__ import annotations

from typing import Any, Literal

Action = Literal["retry", "reauthorize", "configure", "report"]


class AdapterError(Exception):
    """Something between us and a site went wrong. `code` is stable; `str()` is safe to log."""

    code = "adapter_error"
    action: Action = "report"

    def __init__(self, message: str, *, code: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        if code:
            self.code = code
        self.status = status

    def to_dict(self) -> dict[str, Any]:
        """Code, message, action and HTTP status (when there was one)."""
        return {"code": self.code, "message": str(self), "action": self.action, "status": self.status}


class ConfigurationError(AdapterError):
    """A site file, profile or key cannot be used as it is."""

    code = "configuration"
    action: Action = "configure"


class EgressRefused(ConfigurationError):
    """The gate refused an address."""

    code = "egress_refused"


class AuthorizationError(AdapterError):
    """The site does not accept our credentials."""

    code = "needs_reauthorization"
    action: Action = "reauthorize"


class ScopeRefused(AuthorizationError):
    """Our token does not cover this resource type."""

    code = "not_authorized"
    action: Action = "configure"


class LaunchRefused(AuthorizationError):
    """A launch or sign-in ended without an authorization; `code` says why (adapters/smart/launch.py lists them)."""

    code = "launch_refused"


class NotSupported(AdapterError):
    """The site does not expose this resource type or search."""

    code = "not_supported"


class SiteUnavailable(AdapterError):
    """The site did not answer usefully within the bounded tries."""

    code = "site_unavailable"
    action: Action = "retry"

    def __init__(
        self, message: str, *, code: str | None = None, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, code=code, status=status)
        self.retry_after = retry_after


class BadAnswer(AdapterError):
    """The site answered with something that cannot be used. `body` keeps the (capped) bytes for quarantine."""

    code = "bad_answer"

    def __init__(self, message: str, *, code: str | None = None, status: int | None = None, body: bytes = b"") -> None:
        super().__init__(message, code=code, status=status)
        self.body = body
