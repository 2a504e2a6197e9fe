"""Which operating systems a lab sells: those that its hosts can be installed with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.api import catalog
from lab.api.errors import Fault
from lab.api.ordering import parts
from lab.hosts import rootfs

pytestmark = pytest.mark.unit


def lab(*images: str) -> Any:
    return cast(Any, SimpleNamespace(images=frozenset(images) if images else None))


def test_what_hosts_cannot_be_installed_with_is_refused_and_names_the_way_to_another_debian() -> None:
    parts.check_image(lab("debian-12", "debian-13"), "debian-13")
    parts.check_image(lab(), "centos-9")  # hosts that are none can be anything
    with pytest.raises(Fault, match=r"cannot run debian-13; they can run: debian-12\. .*versions\.md"):
        parts.check_image(lab("debian-12"), "debian-13")


def test_every_system_of_the_lab_s_hosts_is_sold() -> None:
    sold = {system.image for system in catalog.OPERATING_SYSTEMS}
    assert rootfs.SYSTEMS.keys() <= sold
