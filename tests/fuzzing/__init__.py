"""Random requests and random bytes, by a seed that is told: what attackers send and nobody else."""
