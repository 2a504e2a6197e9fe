"""A service's inputs and the engine's service specification: one to the other and back.

Pure functions beside the tables of inputs, a file for each part of the specification. `to_spec` takes
canonical inputs, those of `schema.canonical`: defaults filled, nothing empty, durations in nanoseconds.
`to_inputs` gives plain ones: durations as text. Names of inputs are those of pulumi-docker 5.2.0, names in
the specification those of the engine's API 1.41.
"""
