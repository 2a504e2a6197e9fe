"""Stand-in for the official `docker` plugin, 5.2.0, where that one can't be downloaded.

Owns Network, Secret, ServiceConfig, Service and Volume: the same inputs, outputs, defaults, differences,
replacement rules and refusals. Refused with a clear message: all other resources, `registryAuth` and `auth`,
`certPath`. What the official one was seen to do is in tests/plugins/official.

Differs on purpose in two points:
- it waits no longer than it must: no fixed delays before the first look;
- its errors name the object and the remedy.
"""

NAME = "docker"
VERSION = "5.2.0"
