"""A gateway that lives in the process of somebody else's ASGI server."""
