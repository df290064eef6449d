"""`python -m services.payments` runs the service."""

from services.payments.main import service

if __name__ == "__main__":
    service.run()
