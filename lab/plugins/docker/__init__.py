"""Stand-in for the official `docker` plugin, 5.2.0, where that one can't be downloaded.

Owns Network, Secret, ServiceConfig, Service and Volume: the same inputs, outputs, defaults, replacement
rules and errors. Refused with a clear message: all other resources, `registryAuth` and `auth`, TLS settings.

Differs on purpose in three points:
- an image's tag is not resolved to a digest, so that what was asked for and what is there compare equal;
- an object that a broken-off update left behind is taken over if it is exactly as wanted (a secret never is:
  its data can't be read);
- it waits no longer than it must: no fixed delays before the first look.
"""

NAME = "docker"
VERSION = "5.2.0"
