"""Base backups and binary logs of a cluster, in an object store: what is written there, when, and by whom.

The format is docs/reference/archive.md, the decision docs/adr/0028-backup.md. Pure: `layout`, `manifest`,
`binlog`, `backup_stream`, `chain`, `cadence`, `holder`, `retention`, `judgement`. The rest runs programs.
"""
