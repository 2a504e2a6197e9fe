"""A service's inputs and the engine's service specification: one to the other and back.

Pure functions beside the tables of inputs, a file for each part of the specification. `to_spec` takes
planned inputs, those of `schema.planned`: a value for every field, durations as text. `found` says what the
engine has in the inputs' words; `schema.complete` makes the state of it. Names of inputs are those of
pulumi-docker 5.2.0, names in the specification those of the engine's API 1.41.
"""
