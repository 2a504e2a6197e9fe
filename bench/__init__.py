"""What is faster than what, measured. Each bench is a module to run: `python -m bench.deploy`."""
