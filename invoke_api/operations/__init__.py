"""AWS's operations, a family to a file; each route reads as a sentence."""
