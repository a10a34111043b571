"""The scopes of a write: the smallest that do it, and what a grant covers."""

from __future__ import annotations

import pytest

from adapters.smart.writing import covers, writing_scopes


def test_the_smallest_scopes_of_a_create_and_an_update() -> None:
    writes = {"Observation": "create", "CarePlan": "update"}
    assert writing_scopes(writes, "v2") == ("system/CarePlan.ru", "system/Observation.cs")  # type: ignore[arg-type]
    assert set(writing_scopes({"Observation": "create"}, "v1", "user")) == {
        "user/Observation.read",
        "user/Observation.write",
    }


@pytest.mark.parametrize(
    ("granted", "covered"),
    [
        ("system/Observation.write", {"create", "update"}),
        ("system/Observation.read", {"read", "search"}),
        ("system/Observation.*", {"create", "update", "read", "search"}),
        ("system/Observation.cs", {"create", "search"}),
        ("user/*.cruds", {"create", "update", "read", "search"}),
        ("patient/Observation.rs?category=vital-signs", {"read", "search"}),
        ("system/CarePlan.write openid launch/patient", set()),
        ("", set()),
        (None, {"create", "search"}),
    ],
)
def test_what_a_grant_covers(granted: str | None, covered: set[str]) -> None:
    needs = ("read", "search", "create", "update")
    assert {n for n in needs if covers(granted, ["system/Observation.cs"], "Observation", n)} == covered  # type: ignore[arg-type]
