"""`python -m services.inventory` runs the service."""

from services.inventory.main import service

if __name__ == "__main__":
    service.run()
