"""What copies say of their origin."""

from datetime import UTC, datetime

import pytest

from storage.images import DerivativeProvenance


@pytest.fixture(scope="module")
def provenance() -> DerivativeProvenance:
    return DerivativeProvenance(
        software="Archive Colorizer",
        version="0.1.0",
        ai_system="SSCN",
        ai_system_version="default 0123abcd",
        when=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
