"""Fault injection against a real process on real sockets; see docs/reliability.md."""
