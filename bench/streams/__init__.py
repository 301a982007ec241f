"""What bench/serving.py is made of: servers, the load, figures, tables and plots."""
