"""What can be changed from the page, where that is allowed: each first says in words what would happen, then does it."""
