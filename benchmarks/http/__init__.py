"""The service against others that do the same over the same database, each as an expert of its stack would write it.

Read routes.py for what is asked, __main__.py for how it is measured, and the other modules for who answers.
"""
