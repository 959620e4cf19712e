"""The same four operations by other stacks, each as an expert of that stack would write them.

Read stack.py for what is compared and contests.py for how. The packages are those of `make bench`.
"""
