"""Data out of the archive: the whole cluster again, a database beside the running one, and the drill.

What is decided is in pure modules (`target`, `catalog`, `plan`, `record`, `report`), what is done in
the others.
"""
