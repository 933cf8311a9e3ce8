"""What is missing on a machine: a failure where all must be there, a skip elsewhere."""

import os

import pytest


def absent(what: str) -> None:
    """A thing that must be there in a continuous build, or where HEADRACE_DATA is set; elsewhere the test is skipped by its name."""
    if os.environ.get("CI", "").lower() == "true" or "HEADRACE_DATA" in os.environ:
        pytest.fail(f"missing: {what}")
    pytest.skip(f"missing: {what}")
