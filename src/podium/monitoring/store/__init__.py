"""The monitor's database: what was counted and found, for as long as it is kept."""
