"""`python -m edgedeploy`: the same as the `edgedeploy` command."""

from edgedeploy.cli import main

if __name__ == "__main__":
    main()
