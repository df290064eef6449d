"""Grafana's dashboards, written in Python and kept as JSON in dashboards/: `python -m deploy.grafana` brings that up to date."""
