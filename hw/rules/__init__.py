"""The five virtualization rules: slot table, rule engine."""
