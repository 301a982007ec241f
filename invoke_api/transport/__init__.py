"""HTTP on sockets: connections, their limits and deadlines. Knows ASGI, nothing of AWS."""
