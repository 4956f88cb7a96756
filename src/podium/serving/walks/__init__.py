"""A request on its way through a gateway: counted in, routed, sent, answered, tried again, copied."""
