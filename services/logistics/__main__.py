"""`python -m services.logistics` runs the service."""

from services.logistics.main import service

if __name__ == "__main__":
    service.run()
