"""Where model folders live, addressed by content digest."""
