"""Logs, metrics, the journal and the invocation log."""
