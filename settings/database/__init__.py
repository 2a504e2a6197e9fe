"""What a stack may set of the database itself: server options, options of the Galera library, the initial
SQL.

Owns: which of them are taken, within which bounds, and the reason and remedy for every other. Pure but for
reading the files that a setting names. Leaves to others: how they reach the nodes (`components/galera.py`),
what the nodes make of them (`images/galera`).
"""
