"""The bus: one topic exchange, a quorum queue per service and event type, received by FastStream, published with
confirms on a connection of its own (a broker that blocks publishers must not stop acknowledgements)."""
