"""The service as a process: settings, sockets, workers, shutdown."""
