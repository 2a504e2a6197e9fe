"""What the files on Galera's processes share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.images.galera_on_consul import GaleraOnConsul
from tests.images.galera_site import GaleraSite
from tests.images.image_roots import image_root


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[GaleraSite]:
    """A site of the images as they are now, with etcd; with what a test asks for by `on_both_stores`."""
    kind = getattr(request, "param", "etcd")
    roots = {name: image_root(name) for name in (kind, "galera")}
    with (GaleraOnConsul if kind == "consul" else GaleraSite)(roots) as made:
        yield made
