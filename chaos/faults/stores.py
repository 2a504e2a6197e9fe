"""The key-value store. The database runs without it, and cannot decide anything new."""

from __future__ import annotations

from chaos import scripts
from chaos.fault import Fault, Struck, Whom
from chaos.site import Site

STOPPED, RUNS = 0.8, 0.4
"""Seconds."""


def _wiped(site: Site, struck: Struck) -> None:
    site.everywhere(scripts.store_wiped(), struck.hosts)


def _stopped(site: Site, struck: Struck) -> None:
    site.everywhere(scripts.signalled(site.store, "STOP"), struck.hosts)


def _let_go(site: Site, struck: Struck) -> None:
    site.everywhere(scripts.let_go(site.store), struck.hosts)


def _slow(site: Site, struck: Struck) -> None:
    site.everywhere(scripts.stop_and_go(site.store, STOPPED, RUNS), struck.hosts)


def _no_rhythm(site: Site, struck: Struck) -> None:
    site.everywhere(scripts.rhythm_ended(site.store), struck.hosts)


FAULTS = (
    Fault(
        "store wiped",
        "the data of all of the store's members is removed, and they die",
        Whom.ALL,
        _wiped,
        holds=30.0,
        stores=("etcd",),  # Consul's members hold the tokens, too, which only `up` makes
    ),
    Fault(
        "store without quorum",
        "two of the store's members get SIGSTOP for 40 s",
        Whom.TWO,
        _stopped,
        _let_go,
        holds=40.0,
    ),
    Fault(
        "store slow",
        f"each of the store's members stands still for {STOPPED} s of every {STOPPED + RUNS:.1f} s",
        Whom.ALL,
        _slow,
        _no_rhythm,
        holds=40.0,
    ),
)
