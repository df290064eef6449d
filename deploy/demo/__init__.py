"""The demo: a few hundred orders of every kind through the running stack, each of which must end as its story says."""
