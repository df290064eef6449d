"""The invariants, as SQL over all four schemas. `offenders` gives one text a row; `$1` is the moment before which an
order must have been left alone to be judged by what other services know of it: events need milliseconds to arrive."""

from dataclasses import dataclass

from deploy.stack.credentials import SERVICES


@dataclass(frozen=True)
class Invariant:
    """One promise; `counted` is how many it is checked on."""

    name: str
    promise: str
    counted: str
    offenders: str


def _is_left_alone(id: str) -> str:
    """Nobody has spoken of the order since $1."""
    return f"NOT EXISTS (SELECT FROM orders.timeline t WHERE t.order_id = {id} AND t.at >= $1)"


_IS_SETTLED = f"o.placed IS NOT NULL AND {_is_left_alone('o.id')}"

# not materialized: of a million orders each use needs a few columns
_SETTLED = f"settled AS NOT MATERIALIZED (SELECT o.* FROM orders.orders o WHERE {_IS_SETTLED})"

# what a person never let in was never told to payments: whoever took its money has it still
_ADMITTED = "(NOT coalesce((o.facts->>'intercepted')::boolean, FALSE) OR o.facts ? 'released_at')"

# whatever it is shown as: one whose parcel or refund went wrong is held
_CALLED_OFF = "(o.facts ?| array['cancelled', 'stock_rejected', 'payment_failed', 'payment_voided', 'given_back_first'])"

_HAS_LEFT = "(num_nonnulls(s.in_transit_at, s.delivered_at, s.failed_at) > 0)"

_WENT_THROUGH = "('paid', 'shipped', 'delivered', 'completed', 'refunded')"

PARCELS = [
    Invariant(
        "paid_orders_ship",
        "every paid order has exactly one live shipment, made or asked for, or waits for a person for a stated reason",
        f"SELECT count(*) FROM orders.orders WHERE status IN {_WENT_THROUGH}",
        f"""
        WITH {_SETTLED}
        SELECT format('order %s is %s and has no live shipment', o.id, o.status)
          FROM settled o LEFT JOIN logistics.shipment s ON s.order_id = o.id AND s.state <> 'cancelled'
         WHERE o.status IN {_WENT_THROUGH} AND s.order_id IS NULL
        UNION ALL
        SELECT format('order %s is paid, its shipment is %s, and no carrier is asked', o.id, s.state)
          FROM orders.orders o JOIN logistics.shipment s ON s.order_id = o.id
         WHERE o.status = 'paid' AND s.state IN ('awaited', 'booking')
           AND NOT (s.state = 'booking' AND EXISTS (
                   SELECT FROM logistics.errand e WHERE e.shipment_id = s.shipment_id AND e.kind = 'book'
                      AND e.next_attempt_at IS NOT NULL))
           AND {_IS_SETTLED}
        """,
    ),
    Invariant(
        "shipments_have_orders",
        "every live shipment belongs to a paid order that is not cancelled, or had left and is shown; both name one waybill",
        "SELECT count(*) FROM logistics.shipment",
        f"""
        WITH {_SETTLED}
        SELECT format('shipment %s of order %s: the order is %s', s.shipment_id, s.order_id, coalesce(o.status, 'unknown'))
          FROM logistics.shipment s LEFT JOIN orders.orders o ON o.id = s.order_id
         WHERE s.waybill IS NOT NULL AND s.state <> 'cancelled'
           AND (o.id IS NULL
             OR (o.status = 'placed' OR {_CALLED_OFF} AND NOT ({_HAS_LEFT} AND (o.status = 'held' OR o.facts ? 'stray_seen')))
                -- last: it is asked only of the few that look wrong
                AND {_IS_SETTLED})
        UNION ALL
        SELECT format('order %s names waybill %s, logistics %s', o.id, o.facts #>> '{{parcel,waybill}}', s.waybill)
          FROM settled o JOIN logistics.shipment s ON s.order_id = o.id
         WHERE o.facts #>> '{{parcel,waybill}}' IS DISTINCT FROM s.waybill
           -- one that was found only after the cancellation is withdrawn, and told to nobody
           AND NOT (NOT o.facts ? 'parcel' AND {_CALLED_OFF} AND coalesce(s.cancelled_at <= s.booked_at, FALSE))
        """,
    ),
    Invariant(
        "tracking_is_pushed_once",
        "every shipment with a waybill told its shopper exactly once",
        "SELECT count(*) FROM logistics.shipment WHERE told_at IS NOT NULL",
        f"""
        WITH {_SETTLED}
        SELECT format('the shopper of order %s was told %s times', o.id, count(t.event_id))
          FROM settled o LEFT JOIN orders.timeline t ON t.order_id = o.id AND t.type = 'tracking.pushed'
         WHERE o.status IN ('shipped', 'delivered', 'completed')
           AND NOT EXISTS (SELECT FROM logistics.errand e JOIN logistics.shipment s USING (shipment_id)
                            WHERE s.order_id = o.id AND e.kind = 'notify' AND e.next_attempt_at IS NOT NULL)
         GROUP BY o.id HAVING count(t.event_id) <> 1
        """,
    ),
]

STOCK = [
    Invariant(
        "shelves_equal_movements",
        "on hand and reserved of every shelf are the sum of its movements, and each order's what it holds or took",
        "SELECT count(*) FROM inventory.shelf",
        """
        SELECT format('%s at %s: on hand %s, reserved %s, but movements say %s and %s', sku, location,
                      on_hand, reserved, moved_on_hand, moved_reserved)
          FROM (SELECT sku, location, coalesce(on_hand, 0) AS on_hand, coalesce(reserved, 0) AS reserved,
                       coalesce(sum(on_hand_change), 0) AS moved_on_hand,
                       coalesce(sum(reserved_change), 0) AS moved_reserved
                  FROM inventory.shelf FULL JOIN inventory.movement USING (sku, location)
                 GROUP BY sku, location, on_hand, reserved) sums
         WHERE on_hand <> moved_on_hand OR reserved <> moved_reserved
        UNION ALL
        SELECT format('order %s: it holds %s and has taken %s, but movements say %s and %s', order_id, coalesce(held, 0),
                      coalesce(taken, 0), coalesce(moved_reserved, 0), -coalesce(moved_on_hand, 0))
          FROM (SELECT order_id, sum(on_hand_change) AS moved_on_hand, sum(reserved_change) AS moved_reserved
                  FROM inventory.movement WHERE order_id IS NOT NULL GROUP BY order_id) moved
          FULL JOIN (SELECT order_id, sum((a->>'quantity')::bigint) FILTER (WHERE state = 'reserved') AS held,
                            sum((a->>'quantity')::bigint) FILTER (WHERE state = 'committed') AS taken
                       FROM inventory.reservation, jsonb_array_elements(allocations) a GROUP BY order_id) allocated
                 USING (order_id)
         WHERE coalesce(held, 0) <> coalesce(moved_reserved, 0) OR coalesce(taken, 0) <> -coalesce(moved_on_hand, 0)
        """,
    ),
    Invariant(
        "reserved_equals_reservations",
        "what is reserved on every shelf is what live reservations have allocated there",
        "SELECT count(*) FROM inventory.reservation WHERE state = 'reserved'",
        """
        WITH allocated AS (
            SELECT a->>'sku' AS sku, a->>'location' AS location, sum((a->>'quantity')::bigint) AS quantity
              FROM inventory.reservation, jsonb_array_elements(allocations) a WHERE state = 'reserved' GROUP BY 1, 2
        )
        SELECT format('%s at %s: reserved %s, allocated %s', sku, location, coalesce(reserved, 0), coalesce(quantity, 0))
          FROM inventory.shelf FULL JOIN allocated USING (sku, location)
         WHERE coalesce(reserved, 0) <> coalesce(quantity, 0)
        """,
    ),
    Invariant(
        "orders_hold_the_stock_they_should",
        "a paid order has deducted exactly its lines; a cancelled one holds nothing but what is in a parcel, or may be",
        "SELECT count(*) FROM inventory.reservation",
        f"""
        WITH {_SETTLED},
        wanted AS (
            SELECT o.id, l->>'sku' AS sku, sum((l->>'quantity')::bigint) AS quantity
              FROM settled o, jsonb_array_elements(o.placed->'lines') l WHERE o.status IN {_WENT_THROUGH} GROUP BY 1, 2
        ),
        deducted AS (
            SELECT order_id AS id, a->>'sku' AS sku, sum((a->>'quantity')::bigint) AS quantity
              FROM inventory.reservation, jsonb_array_elements(allocations) a WHERE state = 'committed' GROUP BY 1, 2
        )
        SELECT format('order %s wants %s × %s, deducted %s', id, wanted.quantity, sku, coalesce(deducted.quantity, 0))
          FROM wanted LEFT JOIN deducted USING (id, sku) WHERE wanted.quantity IS DISTINCT FROM deducted.quantity
        UNION ALL
        SELECT format('order %s is cancelled, its stock is %s', o.id, r.state)
          FROM settled o JOIN inventory.reservation r ON r.order_id = o.id
          LEFT JOIN logistics.shipment s ON s.order_id = o.id
         WHERE {_CALLED_OFF} AND r.state IN ('reserved', 'committed')
           AND NOT (r.state = 'committed' AND coalesce({_HAS_LEFT} OR EXISTS (
                   SELECT FROM logistics.errand e WHERE e.shipment_id = s.shipment_id AND s.cancelled_at IS NOT NULL
                      AND e.kind IN ('book', 'withdraw') AND e.next_attempt_at IS NOT NULL), FALSE))
        UNION ALL
        SELECT format('order %s is cancelled and its parcel is gone, its stock is %s', o.id, r.state)
          FROM settled o JOIN inventory.reservation r ON r.order_id = o.id JOIN logistics.shipment s ON s.order_id = o.id
         WHERE {_CALLED_OFF} AND {_HAS_LEFT} AND s.withdrawn_at IS NULL AND r.state <> 'committed'
        """,
    ),
]

MONEY = [
    Invariant(
        "captured_equals_ledger",
        "what orders holds as captured is what the ledger entered, order by order and per currency",
        "SELECT count(*) FROM payments.ledger_entry WHERE kind = 'captured'",
        f"""
        WITH entered AS (
            SELECT order_id AS id, currency, sum(amount) AS amount, max(at) AS at FROM payments.ledger_entry
             WHERE kind = 'captured' GROUP BY 1, 2
        ),
        known AS (
            SELECT id, currency, captured AS amount FROM orders.orders o WHERE captured > 0 AND {_ADMITTED}
               AND {_is_left_alone("o.id")}
        )
        SELECT format('order %s: captured %s %s, ledger %s', id, known.amount, currency, coalesce(entered.amount, 0))
          FROM known LEFT JOIN entered USING (id, currency) WHERE known.amount IS DISTINCT FROM entered.amount
        UNION ALL
        SELECT format('order %s: ledger %s %s, captured %s', e.id, e.amount, e.currency, coalesce(o.captured, 0))
          FROM entered e LEFT JOIN orders.orders o ON o.id = e.id AND o.currency = e.currency
         WHERE coalesce(o.captured, 0) <> e.amount AND e.at < $1
           AND {_is_left_alone("e.id")}
        """,
    ),
    Invariant(
        "refunded_equals_ledger",
        "what orders holds as refunded is what the ledger has as gone, never more than was captured; what it asked for is known, "
        "and not sent where it went by hand",
        "SELECT count(*) FROM payments.ledger_entry WHERE kind = 'refunded'",
        f"""
        WITH entered AS (
            SELECT order_id AS id, sum(amount) FILTER (WHERE kind = 'refunded' AND r.order_id IS NULL) AS refunded,
                   sum(amount) FILTER (WHERE kind = 'captured') AS captured
              FROM payments.ledger_entry LEFT JOIN payments.ledger_return r USING (order_id, refund_id) GROUP BY 1
        )
        SELECT format('order %s: refunded %s, ledger %s', id, coalesce(o.refunded, 0), coalesce(e.refunded, 0))
          FROM orders.orders o FULL JOIN entered e USING (id)
         WHERE coalesce(o.refunded, 0) <> coalesce(e.refunded, 0) AND (o.id IS NULL OR {_ADMITTED})
           AND {_is_left_alone("id")}
        UNION ALL
        SELECT format('order %s: refunded %s of %s', id, refunded, captured) FROM entered
         WHERE coalesce(refunded, 0) > coalesce(captured, 0)
        UNION ALL
        SELECT format('order %s: payments does not know of refund %s of %s', o.id, f.key, f.value->>'amount')
          FROM orders.orders o CROSS JOIN jsonb_each(o.facts->'refunds') f
         WHERE o.facts ? 'refunds' AND o.placed->>'collected_by' IS NULL
           AND NOT f.value ?| array['reference', 'failure']
           AND NOT EXISTS (SELECT FROM payments.refund r WHERE r.order_id = o.id AND r.id = f.key AND r.reason IS NOT NULL)
           AND {_IS_SETTLED}
        UNION ALL
        SELECT format('order %s: refund %s went by hand (%s), and payments would send it, or has', o.id, f.key,
                      f.value->>'by_hand')
          FROM orders.orders o CROSS JOIN jsonb_each(o.facts->'refunds') f
          JOIN payments.refund r ON r.order_id = o.id AND r.id = f.key
         WHERE o.facts ? 'refunds' AND f.value ? 'by_hand'
           AND (r.told_reference IS DISTINCT FROM f.value->>'by_hand' OR r.attempted_at IS NOT NULL)
        """,
    ),
    Invariant(
        "cancelled_orders_keep_no_money",
        "what was captured for a cancelled order has gone back, is asked for, or was refused and is shown; no charge is open",
        f"SELECT count(*) FROM orders.orders o WHERE {_CALLED_OFF} AND captured > 0",
        f"""
        WITH {_SETTLED}
        SELECT format('order %s is cancelled, %s captured, %s refunded or on the way', o.id, o.captured,
                      coalesce(sum(r.amount), 0))
          FROM settled o LEFT JOIN payments.refund r ON r.order_id = o.id AND r.state <> 'failed'
         WHERE {_CALLED_OFF} AND o.captured > 0 AND {_ADMITTED}
           AND NOT (o.status = 'held' AND EXISTS (SELECT FROM jsonb_each(o.facts->'refunds') f
                                                   WHERE f.value ? 'failure' AND NOT f.value ? 'reference'))
         GROUP BY o.id, o.captured HAVING coalesce(sum(r.amount), 0) < o.captured
        UNION ALL
        SELECT format('order %s is cancelled, its payment is %s, and the provider is not asked', o.id, p.state)
          FROM payments.payment p JOIN orders.orders o ON o.id = p.order_id
         WHERE p.ending IS NULL AND p.amount IS NOT NULL AND p.doubt IS NULL
           AND (p.errand IS NULL OR p.errand NOT IN ('charge', 'void'))
           AND {_CALLED_OFF} AND {_IS_SETTLED}
        """,
    ),
]

PROGRESS = [
    Invariant(
        "nothing_is_stuck",
        "every placed order waits for something that will come: stock, a payment in hand, or a shopper; none for a person",
        "SELECT count(*) FROM orders.orders WHERE status = 'placed'",
        f"""
        WITH {_SETTLED}
        SELECT format('order %s is placed; stock %s, payment %s', o.id, coalesce(r.state, 'unknown'),
                      coalesce(p.state, 'unknown'))
          FROM settled o
          LEFT JOIN inventory.reservation r ON r.order_id = o.id
          LEFT JOIN payments.payment p ON p.order_id = o.id
         WHERE o.status = 'placed'
           AND (r.state IS NULL OR r.state NOT IN ('reserved', 'expired') OR p.state IS NULL OR p.ending IS NOT NULL
                OR p.state IN ('waiting', 'review', 'held', 'doubt'))
        """,
    ),
    Invariant(
        "partners_are_asked_in_time",
        "whatever a partner must be asked for is asked within a minute of its time",
        """
        SELECT (SELECT count(*) FROM payments.payment WHERE due_at IS NOT NULL)
             + (SELECT count(*) FROM payments.refund WHERE due_at IS NOT NULL)
             + (SELECT count(*) FROM logistics.errand WHERE next_attempt_at IS NOT NULL)
        """,
        """
        SELECT format('payment of order %s: %s was due at %s', order_id, errand, due_at) FROM payments.payment
         WHERE due_at < now() - interval '1 minute'
        UNION ALL
        SELECT format('refund %s of order %s was due at %s', id, order_id, due_at) FROM payments.refund
         WHERE due_at < now() - interval '1 minute'
        UNION ALL
        SELECT format('shipment %s: %s was due at %s', shipment_id, kind, next_attempt_at) FROM logistics.errand
         WHERE next_attempt_at < now() - interval '1 minute'
        """,
    ),
    Invariant(
        "outbox_is_published",
        "no event waits to be published for more than a minute",
        " + ".join(f"(SELECT count(*) FROM {service}.outbox)" for service in SERVICES).join(("SELECT ", "")),
        " UNION ALL ".join(
            f"""
            SELECT format('{service}: %s %s has waited since %s', type, id, created_at) FROM {service}.outbox
             WHERE created_at < now() - interval '1 minute'
            """
            for service in SERVICES
        ),
    ),
    Invariant(
        "dead_letters_are_accounted_for",
        "every dead letter has its reason, and one that is to be retried is",
        " + ".join(f"(SELECT count(*) FROM {service}.dead_letter)" for service in SERVICES).join(("SELECT ", "")),
        " UNION ALL ".join(
            f"""
            SELECT format('{service}: letter %s (%s) %s', id, event_type, CASE WHEN reason = '' THEN 'has no reason'
                          ELSE 'should have been retried at ' || next_attempt_at END) FROM {service}.dead_letter
             WHERE reason = '' OR next_attempt_at < now() - interval '2 minutes'
            """
            for service in SERVICES
        ),
    ),
]

INVARIANTS = [*PARCELS, *STOCK, *MONEY, *PROGRESS]
