"""The package that other programs install: `swarm_galera`, made of this checkout's folders.

Owns: what is in it, and under which names (mapping.py); what `import swarm_galera` itself gives (top.py).
Leaves to others: making a wheel of it (hatch_build.py, at the checkout's top, for whoever builds).
"""
