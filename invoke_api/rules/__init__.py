"""Rules that replace, pace or break the answers of any engine, for tests of clients."""
