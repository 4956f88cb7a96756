"""What a server can be asked, as an OpenAPI document."""
