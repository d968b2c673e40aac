"""Notices: the outbox and those that it tells. Sent at least once; who must not be told twice has the notice's id."""
