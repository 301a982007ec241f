"""HTTP/2 on one connection: Hypercorn's and h2's protocol, with additional limits."""
