"""Engines that are loaded, restarted after a failure, and swapped for each other."""
