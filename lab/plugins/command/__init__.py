"""Stand-in for the official `command` plugin, 1.2.1, where that one can't be downloaded.

Owns `command:remote:Command`, `command:remote:CopyToRemote` and `command:local:Command`: the same inputs,
outputs, defaults, replacement rules, secrets and messages. Deliberately left out, refused with a clear
message: `command:remote:CopyFile` (deprecated), `command:local:run` and the assets of
`command:local:Command`.

Differs on purpose in one point: Ctrl-C ends what runs on a host, where the official one waits for its end.
"""

NAME = "command"
VERSION = "1.2.1"
