"""The one place where the parts are put together, started in order and ended in order: ``run.Daemon``."""
