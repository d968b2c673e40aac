"""Typed functions over ``sql/queries``: the only place where a row becomes a thing.

One module a table. Each function takes a connection, so that a transaction is always the caller's.
"""
