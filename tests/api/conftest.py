"""The app over a store with two tenants, asked by real requests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "store"):
    sys.path.insert(0, str(folder))  # importlib mode: the kits are plain modules beside the tests

import api_kit  # noqa: E402
from api_kit import Asked, World  # noqa: E402

from service.api.app import create_app  # noqa: E402
from service.settings import Settings  # noqa: E402
from service.store import Store  # noqa: E402


@pytest.fixture
def world(store: Store) -> World:
    """Two tenants with the same site names and patient ids there."""
    return api_kit.populate(store)


@pytest.fixture(scope="module")
def shared(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The same, made once for the tests of a module that only ask."""
    with api_kit.own_store(postgres_url, tmp_path_factory.mktemp("home")) as store:
        yield api_kit.populate(store)


@pytest.fixture
def app(settings: Settings, store: Store) -> FastAPI:
    """The app over the test's store, without workflows."""
    return create_app(settings, store)


@pytest.fixture
async def asked(app: FastAPI, world: World) -> Iterator[Asked]:
    """Requests to the app in this process."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        yield Asked(client, world)
