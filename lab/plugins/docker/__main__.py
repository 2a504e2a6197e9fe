"""`python -m lab.plugins.docker ENGINE`: run the plugin; Pulumi's engine starts it so."""

import sys

from lab.plugins.docker.provider import DockerProvider
from lab.plugins.server import serve

if __name__ == "__main__":
    serve(DockerProvider(), sys.argv[1:])
