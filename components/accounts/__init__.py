"""Databases, accounts and rights in a cluster that runs, as resources of whoever uses it.

For projects beside the cluster's (examples/accounts): all they need of it are its stack's outputs.

Owns: the resources `Database`, `User` and `Grants`, the component `Account` that draws passwords and changes
them with an overlap, the way to the database's root.
Leaves to others: the accounts that a cluster is made with (images/galera), the application's
(application.py).
"""
