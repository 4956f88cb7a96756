"""Who may ask for what: keys, tokens and certificates, read from files and kept current while a server runs."""
