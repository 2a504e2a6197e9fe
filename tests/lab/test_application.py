"""WordPress on a cluster that exists, on real hosts, as a visitor's browser shows it; one of the hosts dies.

Owned here: that a stack gets an application with a database of its own, that a site is installed and written
to through any host, and that site and post outlive a host which bears a database node and one of the site's
containers: the swarm starts that elsewhere. Left to others: what the database goes through (test_outages.py),
the load balancer's own behaviour (tests/images/test_haproxy.py).

The tests tell one story, in the order they are written. The browser is Debian's Chromium, installed here; its
picture of the post, after the host has died, is kept (`SCREENSHOT`).
"""

from __future__ import annotations

import json
import re
import secrets
import sys
from collections.abc import Callable, Iterator

import pytest

from lab.toolchain import packages, places
from lab.toolchain.stages import Step, Terminal
from tests.lab.whole_cluster import (
    CHECKOUT,
    GALERA_NODE,
    HOSTS,
    LAB,
    SETTINGS,
    guests,
    holds,
    in_lab,
    make,
    on_host,
    one_cluster,
    operations,
    outputs,
    sql,
    tasks,
    wait_for,
)

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("browser", "cluster", "application")]

BROWSER = ("chromium", "fonts-dejavu-core")
LOGS = places.logs("application-test")
SCREENSHOT = LOGS / "post-after-a-host-died.png"
PASSWORD = secrets.token_hex(12)
TITLE, TEXT = "A first word", "Written before a host died."


TAG = (CHECKOUT / "images" / "wordpress" / "TAG").read_text().strip()
SECTIONS = f"""
  swarm-galera:application:
    image: registry.lab:5000/swarm-galera/wordpress:{TAG}
    health: [wordpress-node, health]
    database: {{name: wordpress}}
"""


@pytest.fixture(scope="module")
def browser() -> None:
    LOGS.mkdir(parents=True, exist_ok=True)
    packages.install(Step("browser", LOGS / "browser.log", Terminal(sys.stderr)), BROWSER)


@pytest.fixture(scope="module")
def application(cluster: None) -> Iterator[None]:
    """A cluster that has run for a while gets its application; it loses it at the end, and keeps its data."""
    before, nodes = SETTINGS.read_text(), tasks("galera")
    unprotected = "    protect: false\n"
    assert unprotected in before
    text = before.replace(unprotected, f"{unprotected}    publishedPorts: [80]\n")
    SETTINGS.write_text(text.replace("config:\n", f"config:{SECTIONS}", 1))
    make("up")  # with the lab, which builds the images that a stack's settings name
    assert tasks("galera") == nodes
    yield
    SETTINGS.write_text(before)
    operations("up", "--yes")
    assert "application" not in on_host("galera-1", "docker service ls --format '{{.Name}}'").split()
    assert sql("galera-1", "SELECT COUNT(*) FROM wordpress.wp_posts") != "0"


def address(host: str) -> str:
    """Where a visitor from outside finds a host."""
    return str(next(each["publicIp"] for each in outputs()["hosts"] if each["name"] == host))


def where() -> list[str]:
    """The hosts on which containers of the application run, one word for each container."""
    listed = on_host(
        "galera-1",
        "docker service ps --filter desired-state=running --format '{{.Node}} {{.CurrentState}}' application",
        check=False,
    )
    return sorted(re.findall(r"^(\S+) Running", listed, re.MULTILINE))


def chromium(url: str, *options: str, check: bool = True) -> str:
    """What the browser prints of a page once its scripts have run."""
    words = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
    profile = f"--user-data-dir={LOGS / 'profile'}"
    patience = ("--timeout=120000", "--virtual-time-budget=10000")
    return in_lab("chromium", *words, profile, *patience, *options, url, check=check, limit=300).stdout


def page(url: str) -> str:
    return chromium(url, "--dump-dom", check=False)


def shows(url: str) -> Callable[[], bool]:
    """Whether the post's text is on a page, as a question to repeat."""
    return lambda: TEXT in page(url)


def visitor(*words: str) -> str:
    """What `tests.lab.visitor` prints."""
    return in_lab(sys.executable, "-m", "tests.lab.visitor", *words).stdout.strip()


@pytest.fixture(scope="module")
def post(application: None) -> str:
    """The path of the post, once the site is installed and it is written: each through another host."""
    installing = page(f"http://{address('galera-1')}/")
    assert 'id="setup"' in installing  # WordPress asks for the site's name, after its redirection
    assert "Success!" in visitor("install", f"http://{address('galera-1')}", PASSWORD, "The lab's site")
    return f"/?p={visitor('post', f'http://{address(HOSTS[1])}', PASSWORD, TITLE, TEXT)}"


def test_verify_holds_with_an_application_and_a_second_preview_changes_nothing() -> None:
    report = json.loads(operations("verify", "--json").stdout)
    held = [(check["where"], check["what"]) for check in report["checks"] if check["ok"]]
    assert ("cluster", "all 2 containers of application run") in held
    assert {(host, "application answers on port 80") for host in HOSTS} <= set(held)
    in_lab("pulumi", "preview", "--expect-no-changes", "--stack", LAB)


def test_its_account_is_its_own_and_no_secret_is_in_plain() -> None:
    granted = sql("galera-1", "SHOW GRANTS FOR wordpress@'%'")
    assert "ON *.*" not in granted.replace("GRANT USAGE ON *.*", "")
    assert "`wordpress`.*" in granted
    shown = in_lab("pulumi", "stack", "output", "--json", "--show-secrets", "--stack", LAB).stdout
    password = json.loads(shown)["passwords"]["application"]
    assert len(password) == 32
    seen = in_lab("pulumi", "stack", "export", "--stack", LAB).stdout
    seen += on_host("galera-1", "docker service inspect application; ps axww; journalctl -b --no-pager")
    assert password not in seen


def test_a_post_is_read_through_every_host(post: str) -> None:
    for host in HOSTS:
        shown = page(f"http://{address(host)}{post}")
        assert TITLE in shown
        assert TEXT in shown
    assert sql("galera-3", f"SELECT post_title FROM wordpress.wp_posts WHERE ID = {post[4:]}") == TITLE


def victim() -> str:
    """A host with one of the containers, not the one that is asked; the writer's, if it can be."""
    told = json.loads(on_host("galera-1", GALERA_NODE.format("status --json")))
    able = [host for host in where() if host != "galera-1"]
    assert able
    writer = str(told.get("writer", ""))
    return writer if writer in able else able[0]


def test_the_post_is_read_again_and_a_container_has_moved_after_a_host_has_died(post: str) -> None:
    wait_for("two containers", lambda: len(where()) == 2, 120)
    dead = victim()
    others = [host for host in HOSTS if host != dead]
    sites = [f"http://{address(host)}" for host in others]
    [number] = [str(guest["id"]) for guest in guests() if guest["hostname"] == dead]
    in_lab("slcli", "-y", "vs", "power-off", "--hard", number)
    for site in sites:
        wait_for(f"the post at {site}", shows(site + post), 300)

    def moved() -> bool:
        now = where()
        return len(now) == 2 and dead not in now

    wait_for(f"two containers without {dead}", moved, 300)
    # The site can be written to without the host, too.
    number_of_second = visitor("post", sites[-1], PASSWORD, "A second word", "Written after a host died.")
    SCREENSHOT.unlink(missing_ok=True)
    chromium(sites[0] + post, f"--screenshot={SCREENSHOT}", "--window-size=1280,900")
    assert SCREENSHOT.stat().st_size > 10_000
    print(f"The picture: {SCREENSHOT}; {dead} died, containers are on {', '.join(where())}.")

    in_lab("slcli", "-y", "vs", "power-on", number)
    wait_for("three Synced nodes", one_cluster, 600)
    holds()
    for host in HOSTS:
        titles = sql(host, f"SELECT post_title FROM wordpress.wp_posts WHERE ID = {number_of_second}")
        assert titles == "A second word"
