"""The one gate for outgoing calls: which scheme, host, port and address a site may be called at.

Every URL passes here, whoever gave it: the site file, a discovery document, a next link, an attachment, a redirect. A URL
is refused unless its host was configured or allowed for the site, its scheme is https (http only on loopback where the
site file says so), and every address the host resolves to is public. The checked address is the one connected to
(adapters/fhir/http.py pins it), so that a second DNS answer cannot move the call.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from urllib.parse import SplitResult, urlsplit

from adapters.errors import EgressRefused

MOST_URL = 8_192
Resolver = Callable[[str, int], Iterable[str]]
_METADATA = {"169.254.169.254", "fd00:ec2::254", "100.100.100.200"}


def _resolve(host: str, port: int) -> Iterable[str]:
    return sorted({str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})


class Egress:
    """The gate of one site."""

    def __init__(
        self,
        base_url: str,
        *,
        allow_loopback: bool = False,
        extra_hosts: Iterable[str] = (),
        resolver: Resolver = _resolve,
    ) -> None:
        """`base_url`: the site's FHIR base; its origin is allowed. `extra_hosts`: `host` or `host:port` besides it."""
        self.allow_loopback = allow_loopback
        self._resolver = resolver
        parts = self._split(base_url)
        self._origins = {self._host_port(parts)}
        for host in extra_hosts:
            name, _, port = host.partition(":")
            self._origins.add((name.lower(), int(port) if port else 443))

    def allow(self, url: str) -> None:
        """Admit the host of `url` (an endpoint found by discovery) if it passes every other check."""
        parts = self._split(url)
        self._address(parts)
        self._origins.add(self._host_port(parts))

    def check(self, url: str) -> str:
        """The address to connect to for `url`; raises EgressRefused. The message names the reason, never the URL."""
        parts = self._split(url)
        if self._host_port(parts) not in self._origins:
            raise EgressRefused("the host is not configured for this site", code="egress_host")
        return self._address(parts)

    def _split(self, url: str) -> SplitResult:
        if len(url) > MOST_URL:
            raise EgressRefused(f"a URL longer than {MOST_URL} characters", code="egress_url")
        if any(ord(c) <= 32 or ord(c) > 126 or c in '\\<>"`{}^' for c in url):
            raise EgressRefused("a URL with characters that do not belong there", code="egress_url")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise EgressRefused("a URL that cannot be read", code="egress_url") from None
        host = parts.hostname or ""
        if parts.scheme not in ("https", "http"):
            raise EgressRefused("only https is called", code="egress_scheme")
        if "@" in parts.netloc or "%" in parts.netloc or not host or port == 0 or host.endswith("."):
            raise EgressRefused("a host that is not plain", code="egress_url")
        if parts.scheme == "http" and not (self.allow_loopback and _is_loopback_name(host)):
            raise EgressRefused("only https is called", code="egress_scheme")
        return parts

    @staticmethod
    def _host_port(parts: SplitResult) -> tuple[str, int]:
        return (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)

    def _address(self, parts: SplitResult) -> str:
        host, port = self._host_port(parts)
        if not host.replace(".", "").isdigit() and all(c in "0123456789abcdefx." for c in host) and host[:1].isdigit():
            raise EgressRefused("an address in an unusual notation", code="egress_address")
        try:
            addresses = list(self._resolver(host, port))
        except OSError:
            raise EgressRefused("the host name does not resolve", code="egress_dns") from None
        if not addresses:
            raise EgressRefused("the host name does not resolve", code="egress_dns")
        for address in addresses:
            self._check_address(address, host)
        return addresses[0]

    def _check_address(self, address: str, host: str) -> None:
        ip = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        if ip.is_loopback and self.allow_loopback and _is_loopback_name(host):
            return
        if str(ip) in _METADATA or not ip.is_global or ip.is_multicast:
            raise EgressRefused("an address that is not public", code="egress_address")


def _is_loopback_name(host: str) -> bool:
    return host.lower() in ("localhost", "127.0.0.1", "::1")


def same_origin(left: str, right: str) -> bool:
    """Whether two URLs share scheme, host and port: only then may a bearer token travel along."""
    a, b = urlsplit(left), urlsplit(right)
    ports = {"https": 443, "http": 80}
    return (a.scheme, a.hostname, a.port or ports.get(a.scheme)) == (
        b.scheme,
        b.hostname,
        b.port or ports.get(b.scheme),
    )
