"""What Hypercorn does with connections, changed where clients or speed need it."""
