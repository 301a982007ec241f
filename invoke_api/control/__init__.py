"""The emulator's own routes, below `/_emulator`, which AWS does not have."""
