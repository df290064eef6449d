"""Payments: the one authority on an order's money."""
