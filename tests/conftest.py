"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real recordings beside the checkout (or where TRIPTYCH_SHARED_DATA says); tests skip where they are absent."""
    folder = Path(os.environ.get("TRIPTYCH_SHARED_DATA", CHECKOUT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real recordings are not at {folder}")
    return folder
