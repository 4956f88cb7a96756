"""What a gateway says of its paths: OpenAPI and the page that shows it."""
