"""Addresses of guests: the lowest free one of each network, never the same for two guests."""

from __future__ import annotations

from ipaddress import IPv4Network

from lab.api import errors
from lab.api.context import Lab
from lab.api.records import Guest


def reserve(lab: Lab, *, public: bool) -> tuple[str, str | None]:
    """A private and, if `public`, a public address. They are taken once the guest is in the store.

    Guests that are being reclaimed keep theirs until they are gone. Raises Fault when a network is full.
    """
    taken = {nic.address for guest in lab.store.all(Guest) for nic in guest.nics}
    private = _lowest(lab.networks.private, lab.networks.first_host, taken)
    return private, _lowest(lab.networks.public, lab.networks.first_host, taken) if public else None


def mac(guest: int, port: int) -> str:
    """A locally administered MAC of the guest's own, the same at every boot."""
    octets = [0x06, port, *guest.to_bytes(4, "big")]
    return ":".join(f"{octet:02x}" for octet in octets)


def _lowest(network: IPv4Network, first: int, taken: set[str]) -> str:
    for number in range(first, network.num_addresses - 1):
        address = str(network[number])
        if address not in taken:
            return address
    raise errors.Fault(
        "SoftLayer_Exception_Network_Subnet_NoAvailableIpAddresses",
        f"There is no free address left in {network}. Cancel servers that are not needed.",
    )
