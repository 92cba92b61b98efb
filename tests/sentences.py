"""What a command says of what it can't do: one sentence, and no traceback."""

from __future__ import annotations

import pytest


def assert_one_sentence(capsys: pytest.CaptureFixture[str], sentence: str) -> None:
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    assert error.count("\n") == 1
    assert error.endswith(".\n")
