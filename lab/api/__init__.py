"""The lab's SoftLayer: the same XML-RPC interface, faults, prices and delays, with machines of one's own
behind it.

Owned here: guests, keys, security groups, prices, addresses, transactions and their timing. Left to others:
what a machine is made of (`lab/hosts`), and how a lab is laid out on disk and in network namespaces (`lab`).
"""
