"""Articles for the loads, by SQL as one delivery: a hundred thousand over HTTP would take longer than what is measured."""

from tests.faults.servers import Servers
from tests.load.purchases import CURRENCY, PRICE

_PRODUCTS = """
    WITH added AS (
        INSERT INTO inventory.product (id, sku, name, price_minor, currency, category, tags, low_stock_threshold,
                                       created_at, updated_at)
        SELECT 10000000 + n, 'B-' || lpad(n::text, 6, '0'), (ARRAY['降噪无线耳机', '蓝牙音箱', '机械键盘', '保温杯', '瑜伽垫',
               '台灯', '背包', '手机壳', '充电宝', '运动鞋'])[1 + n % 10] || ' ' || n, $3, $4,
               (ARRAY['耳机', '音箱', '键盘', '杯具', '运动', '灯具', '箱包', '配件', '电源', '鞋'])[1 + n % 10],
               ARRAY['bench', 'batch ' || n / 100], 0, now(), now()
          FROM generate_series($1::bigint, $1::bigint + $2::bigint - 1) n
        RETURNING id, sku
    ), shelved AS (
        INSERT INTO inventory.shelf (sku, location, on_hand) SELECT sku, 'main', $5 FROM added
    ), moved AS (
        INSERT INTO inventory.movement (at, sku, location, kind, on_hand_change, reserved_change, reason)
        SELECT now(), sku, 'main', 'adjusted', $5, 0, 'delivered for the bench' FROM added
    )
    INSERT INTO orders.price (product_id, sku, amount, currency, revision, on_sale) SELECT id, sku, $3, $4, 1, TRUE FROM added
"""

PLENTY = 10_000_000


async def stock(servers: Servers, first: int, count: int, pieces: int = PLENTY) -> None:
    """Articles of these numbers, known to inventory and priced by orders."""
    async with servers.connection() as connection:
        await connection.execute(_PRODUCTS, first, count, PRICE, CURRENCY, pieces, timeout=300)
        await connection.execute("ANALYZE inventory.product; ANALYZE inventory.shelf; ANALYZE orders.price")
