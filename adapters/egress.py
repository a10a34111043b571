"""The one gate for outgoing calls: which scheme, host, port and address a site may be called at.

Every URL passes here, whoever gave it: the site file, a discovery document, a next link, an attachment, a redirect. A URL
is refused unless its host and port were configured for the site, its scheme is https (http only on loopback where the
site file says so), and every address the host resolves to is public. The checked addresses are the ones connected to
(adapters/fhir/http.py pins them), so that a second DNS answer cannot move the call.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from urllib.parse import SplitResult, urlsplit

from adapters.errors import EgressRefused

MOST_URL = 16_384
"""Next links of 8 kB were met; servers themselves end at 16 to 64 kB."""
Resolver = Callable[[str, int], Iterable[str]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_PORTS = {"https": 443, "http": 80}
_NEVER = tuple(
    ipaddress.ip_network(n)
    for n in (
        "168.63.129.16/32",  # Azure's host services
        "192.0.0.0/24",  # IETF assignments; Oracle Cloud's metadata is 192.0.0.192
        "192.88.99.0/24",  # 6to4 relays
        "::/96",  # IPv4-compatible
        "2002::/16",  # 6to4: any IPv4 address inside
        "2001::/32",  # Teredo: likewise
        "fec0::/10",  # site-local
    )
)
"""What `ipaddress` calls global and nobody's EHR lives at (link-local, metadata and private ranges it refuses itself)."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _resolve(host: str, port: int) -> Iterable[str]:
    """Addresses in the order of the system's preference."""
    return dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


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
        """`base_url`: the site's FHIR base; its host and port are allowed. `extra_hosts`: `host` or `host:port` besides."""
        self.allow_loopback = allow_loopback
        self._resolver = resolver
        self._allowed = {self._host_port(self._split(base_url))}
        for extra in extra_hosts:
            self._allowed.add(self._host_port(self._split(f"https://{extra}")))

    def look(self, url: str) -> None:
        """Everything that can be said of `url` without asking DNS; raises EgressRefused."""
        self._admitted(url)

    def check(self, url: str) -> tuple[str, ...]:
        """The addresses to connect to for `url`, best first; raises EgressRefused. Asks DNS: call it off the event loop.

        The message names the reason, never the URL.
        """
        host, port = self._admitted(url)
        try:
            addresses = tuple(self._resolver(host, port))
        except (OSError, UnicodeError):
            raise EgressRefused("the host name does not resolve", code="egress_dns") from None
        if not addresses:
            raise EgressRefused("the host name does not resolve", code="egress_dns")
        for address in addresses:
            self._check_address(address, host)
        return addresses

    def _admitted(self, url: str) -> tuple[str, int]:
        place = self._host_port(self._split(url))
        if place not in self._allowed:
            raise EgressRefused("the host is not configured for this site", code="egress_host")
        return place

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
        if parts.scheme not in _PORTS:
            raise EgressRefused("only https is called", code="egress_scheme")
        if "@" in parts.netloc or "%" in parts.netloc or not host or port == 0 or host.endswith("."):
            raise EgressRefused("a host that is not plain", code="egress_url")
        if _is_disguised(host):
            raise EgressRefused("an address in an unusual notation", code="egress_address")
        if parts.scheme == "http" and not (self.allow_loopback and is_loopback_name(host)):
            raise EgressRefused("only https is called", code="egress_scheme")
        return parts

    @staticmethod
    def _host_port(parts: SplitResult) -> tuple[str, int]:
        return (parts.hostname or "").lower(), parts.port or _PORTS[parts.scheme]

    def _check_address(self, address: str, host: str) -> None:
        ip = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        if is_loopback_name(host):  # the name means this machine, whatever a DNS server says of it
            if self.allow_loopback and ip.is_loopback:
                return
        elif _is_public(ip):
            return
        raise EgressRefused("an address that is not public", code="egress_address")


def _is_public(ip: Address) -> bool:
    if isinstance(ip, ipaddress.IPv6Address) and ip in _NAT64:
        return _is_public(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NEVER)


def _is_disguised(host: str) -> bool:
    """Whether a host ends in a number without being a plain IPv4 address: 127.1, 0177.0.0.1, 0x7f000001, 2130706433."""
    if ":" in host:
        return False
    last = host.rpartition(".")[2]
    if not (last.isdigit() or last.lower().startswith("0x")):
        return False
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return True
    return False


def is_loopback_name(host: str) -> bool:
    """The three names under which a practice server on this machine may be configured."""
    return host.lower() in ("localhost", "127.0.0.1", "::1")


def same_origin(left: str, right: str) -> bool:
    """Whether two URLs share scheme, host and port: only then may a bearer token travel along. False when unreadable."""
    try:
        a, b = (urlsplit(u) for u in (left, right))
        return bool(a.hostname) and (a.scheme, a.hostname, a.port or _PORTS.get(a.scheme)) == (
            b.scheme,
            b.hostname,
            b.port or _PORTS.get(b.scheme),
        )
    except ValueError:
        return False
