"""Authentication: signatures, API keys, credentials, and checks of web pages."""
