"""What a test wants answered, or broken: rules that stand in front of every engine."""
