"""What the files on Galera's processes share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.image_roots import ASKED, FORMER, PRESENT, image_root
from tests.images.galera_on_consul import GaleraOnConsul
from tests.images.galera_site import GaleraSite

STORES = ("etcd", "consul")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Consul is compiled for its tests, which takes minutes: `make consul-test` has them apart."""
    parser.addoption("--store", choices=STORES, help="only what rests on this store; unset, all")
    parser.addoption(
        "--debian",
        choices=(PRESENT, *FORMER),
        default=PRESENT,
        help="the release that the images are built on",
    )


def pytest_configure(config: pytest.Config) -> None:
    ASKED[0] = config.getoption("--debian")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A part that is another run's is none that was left out."""
    if (store := config.getoption("--store")) is not None:
        items[:] = [item for item in items if ("consul" if rests_on_consul(item) else "etcd") == store]


def rests_on_consul(item: pytest.Item) -> bool:
    """Whether it starts the image of Consul."""
    given = getattr(item, "callspec", None)
    return item.path.name.startswith("test_consul") or (
        given is not None and given.params.get("site") == "consul"
    )


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[GaleraSite]:
    """A site of the images as they are now, with etcd; with what a test asks for by `on_both_stores`."""
    kind = getattr(request, "param", "etcd")
    roots = {name: image_root(name) for name in (kind, "galera")}
    with (GaleraOnConsul if kind == "consul" else GaleraSite)(roots) as made:
        yield made
