"""Writes dashboards/*.json. Needs the development packages: what runs only reads them."""

from deploy.grafana.files import write

for name in write():
    print(f"wrote {name}")
