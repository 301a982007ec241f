"""Things broken for real, against a real process on real sockets; docs/reliability.md tells."""
