"""The emulator's own routes, below `/_emulator`: none of them is AWS's."""
