"""Who is calling: signatures, API keys, and the credentials they are held against."""
