"""Settings that could not work are refused, with a sentence."""

import pytest
from mpkernel.settings import KernelSettings
from pydantic import ValidationError


def test_a_lease_of_less_than_a_second_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"at least 1 second, not 0\.5: JetStream counts whole seconds"):
        KernelSettings(lease_ttl_seconds=0.5)
    assert KernelSettings(lease_ttl_seconds=1).lease_ttl_seconds == 1
