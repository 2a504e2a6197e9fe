"""Where the operations run Pulumi: in this checkout, or in the project that has the package installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations import pulumi_cli
from operations.errors import OperationsError

pytestmark = pytest.mark.unit


def test_in_a_checkout_it_is_the_checkout_from_wherever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    checkout = Path(pulumi_cli.__file__).parents[1]
    assert pulumi_cli.project_folder(checkout) == checkout == pulumi_cli.CHECKOUT


def test_of_an_installed_package_it_is_the_present_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert pulumi_cli.project_folder(tmp_path / "site-packages/swarm_galera") == tmp_path


@pytest.mark.parametrize("text", [None, "description: no name\n"])
def test_a_folder_without_a_project_is_told(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (tmp_path / "Pulumi.yaml").write_text(text)
    monkeypatch.setattr(pulumi_cli, "CHECKOUT", tmp_path)
    with pytest.raises(OperationsError, match=r"no project in .*Remedy: run this in the folder"):
        pulumi_cli.project_name()
    (tmp_path / "Pulumi.yaml").write_text("name: shop\n")
    assert pulumi_cli.project_name() == "shop"
