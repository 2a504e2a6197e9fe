"""What the Makefile calls. Its own Python is the system's: the virtual environment may not exist yet."""
