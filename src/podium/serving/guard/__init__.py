"""Who may pass, and how often: what every protocol of a gateway asks before it takes a request."""
