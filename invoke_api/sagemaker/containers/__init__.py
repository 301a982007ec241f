"""The language of the containers of endpoints: bodies, checks, answers. Pure."""
