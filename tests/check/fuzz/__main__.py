"""The command line of the fuzz run."""

from tests.check.fuzz.run import main

main()
