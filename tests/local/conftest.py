"""Settings of the suite that runs outside of a browser only: workers as subprocesses, and `workerlib.testing`."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "shared_values", "shared_adapters", "shared_calls", "shared_errors", "shared_endings"
)

from async_tests import pytest_addoption, pytest_pyfunc_call

__all__ = ["pytest_addoption", "pytest_pyfunc_call"]
