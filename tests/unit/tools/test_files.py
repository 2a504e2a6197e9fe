"""What a commit's hooks say of a file's end and size."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import files

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("content", [b"", b"a\n", b"a\n\nb\n", b"\0\1"])
def test_a_file_that_ends_with_one_line_feed_or_is_no_text_is_let_through(content: bytes) -> None:
    assert files.problem(content) == ""


@pytest.mark.parametrize("content", [b"a", b"a\n\n", b"\n\n"])
def test_a_file_that_ends_otherwise_is_named(content: bytes) -> None:
    assert "exactly one line feed" in files.problem(content)


def test_a_large_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(b"\0" * (files.LARGEST + 1))
    assert files.main([str(large)]) == 1
    assert "large.bin has 500001 bytes" in capsys.readouterr().err
