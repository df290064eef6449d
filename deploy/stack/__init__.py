"""Finds or starts Postgres, RabbitMQ and Redis, and runs the four services in the background."""
