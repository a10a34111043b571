"""Whose product answers at an address: data of `adapters/vendors/directory.toml`, the first row that matches decides."""

from __future__ import annotations

import tomllib
from functools import cache
from urllib.parse import urlsplit

from pydantic import Field

from adapters.profile import VENDORS, Strict


class Product(Strict):
    """One vendor's product as its addresses show it."""

    title: str
    vendor: str = Field(description="Folder of adapters/vendors.")
    names: tuple[str, ...] = Field(default=(), description="What `--vendor` may call it besides title and vendor.")
    hosts: tuple[str, ...] = Field(default=(), description="Ends of host names.")
    paths: tuple[str, ...] = Field(default=(), description="Parts of paths, without case.")


class _File(Strict):
    products: tuple[Product, ...]


@cache
def products() -> tuple[Product, ...]:
    """The products that are known."""
    return _File.model_validate(tomllib.loads((VENDORS / "directory.toml").read_text("utf-8"))).products


def named(vendor: str) -> Product | None:
    """A product by title, vendor or other name, without case."""
    wanted = vendor.casefold().strip()
    for product in products():
        if wanted in {product.title.casefold(), *(n.casefold() for n in product.names)}:
            return product
    return next((p for p in products() if p.vendor == wanted and p.vendor != "generic"), None)


_UNKNOWN = Product(title="", vendor="generic")


def product_of(base: str, vendor: str = "") -> Product:
    """The product at a base URL; where the address does not tell, the one `vendor` names."""
    parts = urlsplit(base)
    host, path = parts.hostname or "", f"{parts.path.casefold()}/"
    for product in products():
        if any(host == h or host.endswith(f".{h}") for h in product.hosts) or any(p in path for p in product.paths):
            return product
    return (named(vendor) if vendor else None) or _UNKNOWN
