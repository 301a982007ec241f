"""HTTP on sockets: connections, their limits and deadlines. Independent of AWS."""
