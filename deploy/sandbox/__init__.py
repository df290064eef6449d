"""Local stand-ins that speak the payment, carrier and message partners' real wire formats."""
