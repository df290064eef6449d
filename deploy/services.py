"""The four services, for what must know all of them: topology, contracts, launcher."""

from services.inventory.main import service as inventory
from services.logistics.main import service as logistics
from services.orders.main import service as orders
from services.payments.main import service as payments
from shared.service import Service

SERVICES: dict[str, Service] = {each.name: each for each in (orders, inventory, payments, logistics)}
