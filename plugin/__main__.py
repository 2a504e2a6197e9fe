"""The plugin's process: Pulumi starts it, asks what there is, and has components made.

Owns: which components there are. Leaves to others: each of them (a file each), Pulumi's side (the SDK).
"""

from account import Account
from database import Database
from pulumi.provider.experimental import component_provider_host

NAME = "swarm-galera"
"""Of the package: types are `swarm-galera:index:Account`."""

if __name__ == "__main__":
    component_provider_host([Account, Database], NAME)
