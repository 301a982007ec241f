"""The service as a process: its settings, its sockets, its workers, its end."""
