"""`python -m lab.plugins.command ENGINE`: run the plugin; the engine starts it so."""

import sys

from lab.plugins.command.provider import CommandProvider
from lab.plugins.server import serve

if __name__ == "__main__":
    serve(CommandProvider(), sys.argv[1:])
