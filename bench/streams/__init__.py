"""Parts of bench/serving.py: servers, load, figures, tables and plots."""
