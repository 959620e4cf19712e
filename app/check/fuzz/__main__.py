"""The command line of the fuzz run."""

from app.check.fuzz.run import main

main()
