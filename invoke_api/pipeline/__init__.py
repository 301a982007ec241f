"""The steps of a call to an AWS operation, from the first byte read to the last byte written."""
