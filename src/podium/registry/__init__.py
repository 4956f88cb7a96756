"""Names, versions, stages, aliases, tags, and the record of every change."""
