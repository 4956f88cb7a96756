"""Model folders and archives that other machines keep: listed, fetched into a private cache, and never trusted."""
