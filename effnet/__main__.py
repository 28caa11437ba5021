"""`python -m effnet`: the command line, as `effnet`."""

from effnet.cli.main import program

program()
