"""The way of a call: from the door of the service to the last byte of its answer."""
