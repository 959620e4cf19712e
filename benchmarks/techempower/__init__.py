"""The six tests of TechEmpower's framework benchmarks, by a service on this layer and by one on asyncpg alone.

Read page.py for what both share, service.py and plain.py for who answers, and verify.py for the rules.
"""
