"""Stripe's API v1, as much of it as the product uses, with outcomes chosen by token."""
