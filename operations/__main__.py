"""`python -m operations …`; see `cli.py`."""

from __future__ import annotations

from operations.cli import main

if __name__ == "__main__":
    main()
