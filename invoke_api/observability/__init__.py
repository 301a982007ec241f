"""What the operator is told of calls: the invocation log."""
