"""The exporter: a process that writes and sends what gateways hand on."""
