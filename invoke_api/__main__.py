"""`python -m invoke_api`."""

from invoke_api.cli import main

if __name__ == "__main__":
    main(prog_name="invoke-api")
