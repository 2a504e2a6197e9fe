"""The contract between Galera and whatever key-value store the stack runs.

Owns: the names. Leaves to others: etcd.py and consul.py, and which it is (discovery.py). Galera's component
takes this and knows no more about the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import pulumi

from components.store_access import StoreAccess


class KeyValueStore(Protocol):
    """A replicated store that the nodes reach over the overlay network, or on their own host.

    Attributes:
        kind: which store, e.g. `etcd`.
        address: its DNS name on the overlay network, or `gateway`: the default gateway of whoever asks.
        port: TCP.
        vip: the virtual IP behind the address; known once the store runs, and empty where there is none.
        url: all of it, e.g. `etcd://etcd:2381`.
        access: what Galera's nodes show and know there.
        consumer_access: the same of those who read the output `discovery`, as the output `discoveryAccess`
            has it; secret.
        running: depend on these to start once it answers, and to change once a change of it is through.
    """

    @property
    def kind(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def vip(self) -> pulumi.Output[str]: ...
    @property
    def url(self) -> str: ...
    @property
    def access(self) -> StoreAccess: ...
    @property
    def consumer_access(self) -> Mapping[str, pulumi.Input[str]]: ...
    @property
    def running(self) -> Sequence[pulumi.Resource]: ...
    def settle(self, clients: Sequence[pulumi.CustomResource]) -> Sequence[pulumi.Resource]:
        """What is left to do once these have come over to this version of the stack, if anything: depend on
        that to go on.
        """
