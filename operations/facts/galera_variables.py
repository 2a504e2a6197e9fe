"""Which of a node's status and variables are asked for, and what of them must be the same everywhere.

Owned here: the names. Left to others: asking (cluster.py), what must hold (checks/galera.py).
"""

from __future__ import annotations

STATE = ("wsrep_local_state_comment", "wsrep_cluster_status")
"""What tells whether a node serves."""
STATUS = (
    *STATE,
    "wsrep_cluster_size",
    "wsrep_cluster_state_uuid",
    "wsrep_connected",
    "wsrep_last_committed",
    "wsrep_provider_version",
    "wsrep_ready",
)
ALIKE = (
    *("version", "wsrep_cluster_name", "wsrep_mode", "wsrep_sst_method", "wsrep_certify_nonPK"),
    *("wsrep_max_ws_rows", "wsrep_max_ws_size", "wsrep_auto_increment_control", "auto_increment_increment"),
    *("binlog_format", "log_bin", "log_bin_trust_function_creators", "default_storage_engine"),
    *(
        "enforce_storage_engine",
        "innodb_autoinc_lock_mode",
        "innodb_default_row_format",
        "innodb_doublewrite",
    ),
    *("innodb_flush_log_at_trx_commit", "innodb_force_primary_key", "innodb_page_size", "innodb_strict_mode"),
    *("character_set_server", "collation_server", "lower_case_table_names", "sql_mode", "time_zone"),
    *("explicit_defaults_for_timestamp", "max_allowed_packet", "tx_isolation", "plugin_maturity"),
)
"""Variables that must have the same value on all nodes: what a statement does depends on them, or whether its
rows are replicated and outlive a power cut."""
FIXED = {
    "wsrep_on": "ON",
    "binlog_format": "ROW",
    "innodb_autoinc_lock_mode": "2",
    "innodb_flush_log_at_trx_commit": "1",
    "read_only": "OFF",
}
"""Variables that must have this value on every node, whatever the settings say."""
LOGGED = {
    "log_bin": "ON",
    "log_slave_updates": "ON",
    "server_id": "1",
    "sync_binlog": "1",
    "wsrep_gtid_mode": "ON",
}
"""Variables that must have this value on every node of a stack with backups."""
NOT_REPLICATED = "tables_not_replicated"
"""Name under which a node's facts have the first ten tables of other engines, or `none`."""
OTHER_TABLES = f"""SET STATEMENT max_statement_time=10 FOR
  SELECT '{NOT_REPLICATED}', IFNULL(GROUP_CONCAT(name ORDER BY name SEPARATOR ', '), 'none') FROM (
    SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME, ' (', ENGINE, ')') AS name FROM information_schema.TABLES
    WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE <> 'InnoDB'
      AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')
    LIMIT 10) AS found;"""  # noqa: S608 - a name of our own
VARIABLES = tuple(sorted({*ALIKE, *FIXED, *LOGGED, "auto_increment_offset"}))
