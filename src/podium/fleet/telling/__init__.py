"""How things are: status, events, metrics, and what gateways describe."""
