"""MyDHL API (DHL Express), as much of it as the product uses, with outcomes chosen by postal code."""
